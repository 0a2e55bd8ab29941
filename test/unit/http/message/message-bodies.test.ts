import { create } from "@bufbuild/protobuf";
import { Code } from "@connectrpc/connect";
import { expect, test } from "vitest";
import { Failure } from "../../../../gen/streamserver/v1/failure_pb.js";
import { ChannelResponseSchema } from "../../../../gen/streamserver/v1/link_pb.js";
import { MessageBodies } from "../../../../http/message/message-bodies.js";
import type { Channel } from "../../../../link/channel/channel.js";
import { joinedLinks, request } from "../../../fakes/links.js";
import { rejection, settled } from "../../../fakes/outcome.js";

/** A call whose answer begins with `write`; the caller's bodies, and why each side's call ended. */
function call(serve: (channel: Channel) => void) {
  const served: Channel[] = [];
  const [client] = joinedLinks((channel) => {
    served.push(channel);
    channel.respond(create(ChannelResponseSchema, { status: 200 }));
    serve(channel);
  });
  const channel = client.open(request());
  const ends: unknown[] = [];
  const bodies = new MessageBodies(channel, (reason) => ends.push(reason));
  return { bodies, channel, ends, served };
}

const bytes = (count: number) => new Uint8Array(count);
const whole = (body: ReadableStream<Uint8Array>) => new Response(body).arrayBuffer();

test.each([
  ["longer", 5],
  ["shorter", 7],
])("MessageBodies fails a body that is %s than its peer has declared", async (_, declaredBytes) => {
  const { bodies, channel } = call((channel) => {
    channel.write(bytes(3));
    channel.write(bytes(3));
    channel.end();
  });
  await channel.response.promise;
  bodies.expect(declaredBytes);
  expect((await rejection(whole(bodies.received()))).failure).toBe(Failure.PROTOCOL_VIOLATION);
  expect((await rejection(bodies.whole.promise)).failure).toBe(Failure.PROTOCOL_VIOLATION);
});

test("MessageBodies tells the peer of a body that is longer than declared, and reads no more of it", async () => {
  const { bodies, channel, served } = call((channel) => void channel.write(bytes(6)));
  await channel.response.promise;
  bodies.expect(5);
  await rejection(whole(bodies.received()));
  await settled();
  const closed: unknown[] = [];
  served[0]?.use({ onData() {}, onEnd() {}, onDrain() {}, onClosed: (error) => closed.push(error?.failure) });
  expect(closed).toEqual([Failure.PROTOCOL_VIOLATION]);
});

test("MessageBodies.received gives chunks in memory of their own", async () => {
  const { bodies } = call((channel) => {
    channel.write(new Uint8Array(100).subarray(10, 20));
    channel.end();
  });
  const { value } = await bodies.received().getReader().read();
  expect([value?.byteLength, value?.buffer.byteLength]).toEqual([10, 10]);
});

test("MessageBodies.drop reads a body of any length, and keeps nothing", async () => {
  const { bodies } = call((channel) => {
    for (let chunks = 0; chunks < 10; chunks += 1) channel.write(bytes(100_000));
    channel.end();
  });
  bodies.drop();
  await bodies.whole.promise;
});

test("MessageBodies.abort fails a body that has come already and was not read", async () => {
  const { bodies, channel, ends } = call((channel) => {
    channel.write(bytes(3));
    channel.end();
  });
  await channel.response.promise;
  await settled();
  const reason = new Error("enough");
  bodies.abort(reason);
  await expect(whole(bodies.received())).rejects.toBe(reason);
  expect(ends.at(-1)).toBe(reason);
});

test("MessageBodies.send cancels its source when the peer has answered, and sends no more", async () => {
  const { bodies } = call((channel) => channel.end());
  const canceled: unknown[] = [];
  const body = new ReadableStream<Uint8Array>({ cancel: (reason) => void canceled.push(reason) });
  await bodies.send(body);
  expect(canceled).toEqual([undefined]);
});

test.each([
  ["longer", 5],
  ["shorter", 7],
])("MessageBodies.send rejects for a body %s than it is said to be", async (_, declaredBytes) => {
  const { bodies, served } = call(() => {});
  await settled();
  const came: number[] = [];
  served[0]?.use({ onData: (chunk) => came.push(chunk.byteLength), onEnd() {}, onDrain() {}, onClosed() {} });
  const body = new Response(bytes(6)).body as ReadableStream<Uint8Array>;
  expect((await rejection(bodies.send(body, declaredBytes))).failure).toBe(Failure.PROTOCOL_VIOLATION);
  await settled();
  expect(came).toEqual(declaredBytes === 5 ? [] : [6]);
});

test("MessageBodies.send cancels its source with the reason of a call that has failed before", async () => {
  const { bodies } = call(() => {});
  const reason = new Error("enough");
  bodies.abort(reason);
  const canceled: unknown[] = [];
  await bodies.send(new ReadableStream<Uint8Array>({ cancel: (given) => void canceled.push(given) }));
  expect(canceled).toEqual([reason]);
});

test("MessageBodies.abandon fails the reader of a body that has not come to its end, and no other", async () => {
  const unended = call((channel) => void channel.write(bytes(3))).bodies;
  await settled();
  unended.abandon();
  expect((await rejection(whole(unended.received()))).code).toBe(Code.Canceled);
  const ended = call((channel) => channel.end()).bodies;
  expect((await whole(ended.received())).byteLength).toBe(0);
  ended.abandon();
  await ended.whole.promise;
});

test("MessageBodies.send rejects for a body of anything but bytes, and cancels it", async () => {
  const { bodies } = call(() => {});
  const canceled: unknown[] = [];
  const body = new ReadableStream({
    start: (controller) => controller.enqueue("text"),
    cancel: (reason) => void canceled.push(reason),
  });
  await expect(bodies.send(body)).rejects.toThrow(TypeError);
  expect(canceled).toEqual([expect.any(TypeError)]);
});
