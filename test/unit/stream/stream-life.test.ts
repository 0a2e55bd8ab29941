import { expect, test } from "vitest";
import { StreamError } from "../../../stream/error/stream-error.js";
import { Deferred } from "../../../stream/platform/deferred.js";
import { StreamLife } from "../../../stream/stream-life.js";
import { frame, takeFrames } from "../../fakes/frames.js";
import { settled } from "../../fakes/outcome.js";
import { joinedStreams } from "../../fakes/streams.js";

const data = new Uint8Array(40_000);

test("what the relay said when it took the leg holds: the stream's id, and how large a frame may be", () => {
  const life = new StreamLife({});
  life.endpoint.write({ data, text: false });
  expect(life.streamId).toBe("");
  expect(life.transport).toBe(undefined);
  life.attach({ streamId: "id", maxFrameBytes: 4_096, transport: "websocket" });
  expect([life.streamId, life.transport]).toEqual(["id", "websocket"]);
  expect(life.endpoint.takeFrame()?.messages[0]?.data).toHaveLength(4_080);
  life.attach({ streamId: "id", maxFrameBytes: undefined, transport: "websocket" });
  expect(life.endpoint.takeFrame()?.messages[0]?.data).toHaveLength(4_080);
});

test("frames end after the last ack of a stream that closed, and after the reset of one that failed", async () => {
  for (const how of ["closed", "resetting"] as const) {
    const life = new StreamLife({ windowBytes: 65_536 });
    const over: string[] = [];
    life.on("over", (kind) => over.push(kind));
    const sent: string[] = [];
    // Frames are taken in a turn of their own, as the owner of the leg takes them.
    life.onLegChange = () =>
      queueMicrotask(() => {
        for (const next of takeFrames(life.endpoint)) sent.push(next.fin ? "fin" : next.reset ? "reset" : "ack");
        if (life.isOver) frames.resolve();
      });
    const frames = new Deferred<void>();
    expect(life.isOver).toBe(false);
    if (how === "closed") life.endpoint.finish();
    else life.endpoint.reset(new StreamError("enough"));
    await settled();
    life.endpoint.receive(frame({ sequence: 1n, fin: true, ack: 1n }));
    await frames.promise;
    expect([over, sent]).toEqual(
      how === "closed" ? [["closed"], ["fin", "ack"]] : [["resetting", "failed"], ["reset"]],
    );
  }
});

test("many windows go through, with nobody but the reader to keep them moving", async () => {
  const [a, b] = joinedStreams({ windowBytes: 65_536 });
  for (let at = 0; at < 20; at++) a.write(data);
  a.end();
  let read = 0;
  for await (const message of b) read += message.length;
  b.end();
  await Promise.all([a.closed, b.closed]);
  expect(read).toBe(20 * data.length);
});
