import { create, toBinary } from "@bufbuild/protobuf";
import { Code } from "@connectrpc/connect";
import { expect, test, vi } from "vitest";
import { Failure, Hop } from "../../../../gen/streamserver/v1/failure_pb.js";
import { ChannelResponseSchema, LinkMessageSchema, LinkOpenedSchema } from "../../../../gen/streamserver/v1/link_pb.js";
import { Connections } from "../../../../http/call/connections.js";
import { linkCodec, serveLink } from "../../../../http/link/stream-link.js";
import type { LinkStream } from "../../../../http/link/stream-pipe.js";
import type { Channel } from "../../../../link/channel/channel.js";
import { StreamError } from "../../../../stream/error/stream-error.js";
import { Deferred } from "../../../../stream/platform/deferred.js";
import { FakeClock } from "../../../fakes/fake-clock.js";
import { request } from "../../../fakes/links.js";
import { promiseState, rejection, settled } from "../../../fakes/outcome.js";
import { joinedStreams, streamAndPeer } from "../../../fakes/streams.js";

/** Connections to a listener that answers when told. */
function connections(maxCalls = 2) {
  const clock = new FakeClock();
  const clients: LinkStream[] = [];
  const served: Channel[] = [];
  const connect = () => {
    const [client, listener] = joinedStreams({}, linkCodec) as [LinkStream, LinkStream];
    clients.push(client);
    serveLink(listener, { maxCalls, onRequest: (channel) => void served.push(channel) });
    return client;
  };
  const answer = async () => {
    await settled();
    for (const channel of served.splice(0)) {
      channel.respond(create(ChannelResponseSchema, { status: 200 }));
      channel.end();
    }
    await settled();
  };
  return { connections: new Connections("n", connect, clock), clock, clients, served, answer };
}

test("Connections.open shares one stream, and opens another when that is full", async () => {
  const { connections: own, clients } = connections(2);
  await Promise.all([1, 2].map(() => own.open(request(), undefined)));
  expect(clients).toHaveLength(1);
  await Promise.all([3, 4, 5].map(() => own.open(request(), undefined)));
  expect(clients).toHaveLength(3);
});

test("Connections.open rejects when 32 streams are full", async () => {
  const { connections: own, clients } = connections(1);
  await Promise.all(Array.from({ length: 32 }, () => own.open(request(), undefined)));
  expect(await rejection(own.open(request(), undefined))).toMatchObject({
    failure: Failure.LIMIT_REACHED,
    hop: Hop.CALLER,
  });
  expect(clients).toHaveLength(32);
});

test("Connections ends a stream that has been idle for 4 s, and keeps none alive for it", async () => {
  const { connections: own, clock, clients, answer } = connections();
  await own.open(request(), undefined);
  clock.advance(60_000);
  await answer();
  expect([clients[0]?.state === "closed", clock.keepsAlive]).toEqual([false, false]);
  clock.advance(3_999);
  await own.open(request(), undefined);
  clock.advance(60_000);
  await answer();
  expect(clients[0]?.state).not.toBe("closed");
  clock.advance(4_000);
  await clients[0]?.closed;
  await own.open(request(), undefined);
  expect(clients).toHaveLength(2);
});

test("Connections does not end an idle stream while it is suspended, because calls may wait for it", async () => {
  const { connections: own, clock, clients, answer } = connections();
  await own.open(request(), undefined);
  await answer();
  const [client] = clients as [LinkStream];
  const state = vi.spyOn(client, "state", "get").mockReturnValue("suspended");
  clock.advance(60_000);
  state.mockRestore();
  await settled();
  expect(client.state).toBe("open");
  clock.advance(4_000);
  await client.closed;
});

test("Connections ends an idle stream whose only call was given up before it was made", async () => {
  const { connections: own, clock, clients } = connections();
  const abort = new AbortController();
  const opening = own.open(request(), abort.signal);
  abort.abort();
  await expect(opening).rejects.toBe(abort.signal.reason);
  await settled();
  clock.advance(4_000);
  await clients[0]?.closed;
});

test("Connections.open rejects at once for a signal that was aborted before", async () => {
  const own = new Connections("n", () => streamAndPeer({}, linkCodec).stream as LinkStream, new FakeClock());
  await expect(own.open(request(), AbortSignal.abort("given up"))).rejects.toBe("given up");
});

test("Connections.close ends the streams that have no call", async () => {
  const { connections: own, clients, answer } = connections();
  await own.open(request(), undefined);
  await own.close();
  expect(clients[0]?.state).not.toBe("closed");
  await answer();
  await own.close();
  await clients[0]?.closed;
});

test("Connections.close sends the reset of a call before it ends the stream of the call", async () => {
  const { connections: own, served } = connections();
  const channel = await own.open(request(), undefined);
  await settled();
  const end = new Deferred<StreamError | undefined>();
  served[0]?.use({ onData: () => {}, onEnd: () => {}, onDrain: () => {}, onClosed: end.resolve });
  channel.reset(new StreamError("given up", { code: Code.Aborted }));
  await own.close();
  expect((await end.promise)?.code).toBe(Code.Aborted);
});

test("Connections.open opens another stream while Connections.close ends the first", async () => {
  const { connections: own, clients, answer } = connections();
  await own.open(request(), undefined);
  await answer();
  const closed = own.close();
  await own.open(request(), undefined);
  await closed;
  expect(clients.map(({ state }) => state)).toEqual(["closed", "open"]);
});

test("Connections ends a stream whose listener does not, after 4 s more", async () => {
  const clock = new FakeClock();
  const [client, listener] = joinedStreams({}, linkCodec) as [LinkStream, LinkStream];
  const opened = create(LinkOpenedSchema, { maxChannels: 1, maxPacketBytes: 1_000, maxBatchBytes: 1_000 });
  listener.on("error", () => {}).write(toBinary(LinkMessageSchema, create(LinkMessageSchema, { opened })));
  const own = new Connections("n", () => client, clock);
  (await own.open(request(), undefined)).reset(new StreamError("given up"));
  const closed = own.close();
  await settled();
  await settled();
  clock.advance(3_999);
  expect(await promiseState(closed)).toBe("pending");
  clock.advance(1);
  await closed;
});
