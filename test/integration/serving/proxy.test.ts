import { once } from "node:events";
import { createClient } from "@connectrpc/connect";
import { createConnectTransport, Http2SessionManager } from "@connectrpc/connect-node";
import { Failure, Hop, jsonCodec, type Stream, StreamServer } from "browser-stream-server";
import { RelayService } from "browser-stream-server/gen";
import { StreamServerProxy, type StreamServerProxyEvents } from "browser-stream-server/server";
import { afterEach, beforeEach, expect, test } from "vitest";
import { rejection } from "../../fakes/outcome.js";
import { holdsNothing, openRelay, type TestRelay } from "../relay-ports.js";

let relay: TestRelay;
let sessionManager: Http2SessionManager;
let client: ReturnType<typeof createClient<typeof RelayService>>;

beforeEach(async () => {
  relay = await openRelay();
  sessionManager = new Http2SessionManager(relay.url);
  client = createClient(RelayService, createConnectTransport({ baseUrl: relay.url, httpVersion: "2", sessionManager }));
});

afterEach(async () => {
  await holdsNothing(relay);
  sessionManager.abort();
  await relay.close();
});

/** Resolves with the arguments of the next event of a kind. */
function next(event: keyof StreamServerProxyEvents): Promise<unknown[]> {
  return once(relay.proxy, event);
}

test("names that come and go are told, in both spellings, with the lease and the reason", async () => {
  const told = [next("server.created"), next("server-created"), next("server.destroyed"), next("server-destroyed")];
  const server = StreamServer(relay.origin, { listed: true }).listen("room");
  await server.ready;
  await server.end();
  const [created, createdDash, destroyed, destroyedDash] = await Promise.all(told);
  expect(created?.slice(0, 2)).toEqual(["room", expect.objectContaining({ name: "room", listed: true })]);
  expect(createdDash).toEqual(created);
  expect(destroyed).toEqual([...(created ?? []), "unlisten"]);
  expect(destroyedDash).toEqual(destroyed);
});

test("a Listen that is cancelled, a connection that breaks, and a relay that closes give other reasons", async () => {
  const listen = async () => {
    const abort = new AbortController();
    const events = client.listen({ name: "room" }, { signal: abort.signal })[Symbol.asyncIterator]();
    await events.next();
    return { abort, events };
  };
  const first = await listen();
  const canceled = next("server.destroyed");
  first.abort.abort();
  expect((await canceled)[2]).toBe("canceled");

  const second = await listen();
  const lost = next("server.destroyed");
  sessionManager.abort();
  expect(["lost", "canceled"]).toContain((await lost)[2]);
  await expect(second.events.next()).rejects.toThrow();

  const third = await listen();
  const closed = next("server.destroyed");
  relay.proxy.close();
  expect((await closed)[2]).toBe("relay closed");
  await expect(third.events.next()).rejects.toThrow();
});

test("the relay's own process connects, with a codec and metadata, and is told what others are told", async () => {
  const server = StreamServer(relay.origin, { codec: jsonCodec<{ n: number }>() }, (stream) => {
    expect(stream.metadata).toEqual({ from: "the relay" });
    stream.on("data", ({ n }) => stream.end({ n: n + 1 }));
  }).listen("counter");
  await server.ready;
  const stream = relay.proxy.connect("counter", { codec: jsonCodec<{ n: number }>(), metadata: { from: "the relay" } });
  stream.end({ n: 1 });
  const answers: unknown[] = [];
  for await (const answer of stream) answers.push(answer);
  expect(answers).toEqual([{ n: 2 }]);
  await stream.closed;
  await expect(relay.proxy.connect("nobody's").opened).rejects.toMatchObject({ failure: Failure.NO_SUCH_NAME });
  await server.end();
});

test("a callback of a stream from the relay's own process may close the relay between two messages", async () => {
  const peers: Stream[] = [];
  const server = StreamServer(relay.origin, (stream) => {
    peers.push(stream);
    for (let messages = 0; messages < 100; messages += 1) stream.write(new Uint8Array(10_000));
  }).listen("closing");
  await server.ready;
  const stream = relay.proxy.connect("closing");
  stream.on("data", () => relay.proxy.close());
  expect(await rejection(stream.closed)).toMatchObject({ failure: Failure.DRAINING, hop: Hop.RELAY });
  // The endpoint that was in the relay's process comes back at no other relay.
  const lost = { failure: Failure.LEG_LOST, hop: Hop.PEER };
  expect(await rejection((peers[0] as Stream).closed)).toMatchObject(lost);
  await server.end();
});

test("List and Watch show the names that ask for it", async () => {
  const abort = new AbortController();
  const watch = client.watch({ prefix: "r" }, { signal: abort.signal })[Symbol.asyncIterator]();
  const event = async () => {
    const { value } = await watch.next();
    return value?.event.case === "current" ? "current" : `${value?.event.case} ${value?.event.value?.name}`;
  };
  expect(await event()).toBe("current");
  const names = { room: true, secret: false, "other room": true, rest: true };
  const servers = Object.entries(names).map(([name, listed]) => StreamServer(relay.origin, { listed }).listen(name));
  await Promise.all(servers.map((server) => server.ready));
  expect([await event(), await event()].sort()).toEqual(["created rest", "created room"]);
  expect((await client.list({})).names).toEqual(["other room", "rest", "room"]);
  const page = await client.list({ prefix: "r", pageSize: 1 });
  expect(page).toMatchObject({ names: ["rest"], nextPageToken: "rest" });
  expect(await client.list({ prefix: "r", pageToken: page.nextPageToken })).toMatchObject({ names: ["room"] });
  await servers[0]?.end();
  expect(await event()).toBe("destroyed room");
  abort.abort();
  await watch.next().catch(() => {});
  await Promise.all(servers.map((server) => server.end()));
});

test.each([
  ["a string", "https://example.com"],
  ["no list", { 0: "https://example.com" }],
  ["one with a path", ["https://a.example", "https://example.com/"]],
  ["one with the scheme's own port", ["https://example.com:443"]],
  ["a host", ["example.com"]],
  ["all among others", ["https://example.com", "*"]],
  ["what any sandboxed page says", ["null"]],
  ["what any file says", ["file://"]],
  ["a wildcard", ["https://*.example.com"]],
  ["no text", [undefined]],
])("origins that are not of one site each make no relay: %s", (_, origins) => {
  expect(() => StreamServerProxy({ origins: origins as string[] })).toThrow(RangeError);
});

test("origins are as browsers send them, extensions of theirs included", () => {
  const origins = ["https://example.com", "http://localhost:8080", "http://[::1]:8080", "moz-extension://1f0e3dad"];
  StreamServerProxy({ origins }).close();
});
