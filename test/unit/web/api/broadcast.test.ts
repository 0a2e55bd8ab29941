import { expect, test } from "vitest";
import { Failure } from "../../../../gen/streamserver/v1/failure_pb.js";
import { rawCodec } from "../../../../stream/codec.js";
import { broadcast } from "../../../../web/api/broadcast.js";
import { rejection, settled } from "../../../fakes/outcome.js";
import { streamAndPeer } from "../../../fakes/streams.js";

const message = rawCodec.encode("hello");

test("broadcast writes the same bytes to every stream, and says how many took them", () => {
  const made = [streamAndPeer(), streamAndPeer(), streamAndPeer()];
  const streams = made.map(({ stream }) => stream);
  expect(broadcast(new Set(streams), message)).toEqual({ sent: 3, behind: [], missed: [] });
  for (const { life } of made) expect(life.endpoint.takeFrame()?.messages[0]?.data.buffer).toBe(message.data.buffer);
});

test("broadcast waits for nobody: a stream above its high-water mark takes the message too, and drains later", async () => {
  const slow = streamAndPeer({ highWaterMarkBytes: 1 });
  const fast = streamAndPeer();
  const drained: string[] = [];
  slow.stream.on("drain", () => drained.push("slow"));
  const result = broadcast(new Set([slow.stream, fast.stream]), message);
  expect(result).toEqual({ sent: 2, behind: [slow.stream], missed: [] });
  expect([slow.stream.writableNeedDrain, fast.stream.writableNeedDrain]).toEqual([true, false]);
  await slow.carry();
  expect(drained).toEqual(["slow"]);
  expect(slow.peer.read()).toMatchObject(message);
});

test("broadcast fails a stream alone that does not read for too long, and the others go on", async () => {
  const stuck = streamAndPeer({ maxBufferedBytes: 100 });
  const fast = streamAndPeer();
  const streams = new Set([stuck.stream, fast.stream]);
  const closed = rejection(stuck.stream.closed);
  let missed = 0;
  for (let round = 0; round < 10; round += 1) {
    const result = broadcast(streams, message);
    if (result.missed.includes(stuck.stream)) missed += 1;
    expect(result.missed).not.toContain(fast.stream);
  }
  expect((await closed).failure).toBe(Failure.LIMIT_REACHED);
  // Four cost 84 bytes, and a fifth is one too many.
  expect(missed).toBe(6);
  expect(stuck.stream.bufferedBytes).toBe(0);
  await fast.carry();
  for (let round = 0; round < 10; round += 1) expect(fast.peer.read()).toMatchObject(message);
});

test("broadcast misses a stream that was ended, and one whose peer takes only smaller messages, and harms neither", async () => {
  const ended = streamAndPeer();
  ended.stream.end();
  const small = streamAndPeer();
  small.life.accept({ credit: true, ack: true, resume: false, maxMessageBytes: 4 });
  const result = broadcast(new Set([ended.stream, small.stream]), message);
  expect(result).toEqual({ sent: 0, behind: [], missed: [ended.stream, small.stream] });
  await settled();
  expect([ended, small].map(({ life }) => life.endpoint.state.kind)).toEqual(["open", "open"]);
});
