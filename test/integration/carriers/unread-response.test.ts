import { once } from "node:events";
import { type ClientHttp2Session, connect, createServer, type Http2Server, type ServerHttp2Stream } from "node:http2";
import type { AddressInfo } from "node:net";
import { create, toBinary, toJsonString } from "@bufbuild/protobuf";
import { createClient } from "@connectrpc/connect";
import { createConnectTransport, Http2SessionManager } from "@connectrpc/connect-node";
import { StreamError } from "browser-stream-server";
import { ConnectRequestSchema, LinkService, RelayService } from "browser-stream-server/gen";
import { afterEach, beforeEach, describe, expect, test } from "vitest";
import { envelope } from "../../../leg/envelope.js";
import { answerTimeoutMs } from "../../../server/http/open-responses.js";
import { relayOf, StreamServerProxy } from "../../../server/stream-server-proxy.js";
import { FakeClock } from "../../fakes/fake-clock.js";
import { frame } from "../../fakes/frames.js";
import { Listening, relayed } from "../../fakes/relays.js";
import { refused } from "../raw-calls.js";
import { until } from "../until.js";

/** A call's first response fits in, and little else. */
const initialWindowSize = 1_024;
const closeTimeoutMs = 5_000;
const maxStreamsPerCaller = 16;

let clock: FakeClock;
let proxy: StreamServerProxy;
let server: Http2Server;
/** The relay's ends of the calls so far. */
let calls: ServerHttp2Stream[];
let sessions: Http2SessionManager;

beforeEach(async () => {
  clock = new FakeClock();
  server = createServer();
  proxy = StreamServerProxy({ clock, trustedProxies: ["127.0.0.1"], limits: { maxStreamsPerCaller } }).install(server);
  calls = [];
  server.on("stream", (call) => calls.push(call));
  server.listen(0, "127.0.0.1");
  await once(server, "listening");
  const { port } = server.address() as AddressInfo;
  sessions = new Http2SessionManager(`http://127.0.0.1:${port}`, {}, { settings: { initialWindowSize } });
});

afterEach(async () => {
  proxy.close();
  sessions.abort();
  await new Promise((resolve) => server.close(resolve));
  expect(clock.timers).toBe(0);
});

const transport = () =>
  createConnectTransport({
    baseUrl: `${sessions.authority}/browser-server`,
    httpVersion: "2",
    sessionManager: sessions,
  });

/** A listener that has read that the name is its own, and reads none of its many offers. */
async function unreadListen() {
  const relay = createClient(RelayService, transport());
  const events = relay.listen({ name: "name" })[Symbol.asyncIterator]();
  const { value } = await events.next();
  const listen = calls.at(-1) as ServerHttp2Stream;
  const metadata = { text: "x".repeat(8_000) };
  async function* requests() {
    yield { message: { case: "open" as const, value: { name: "name", metadata } } };
    await new Promise(() => {});
  }
  for (let clients = 0; clients < 16; clients += 1) refused(relay.connect(requests())).catch(() => {});
  await until(() => listen.writableNeedDrain);
  if (value?.event.case !== "registered") throw new Error("the name was not registered");
  const { leaseId, leaseToken } = value.event.value;
  const unlisten = () => relay.unlisten({ leaseId, leaseToken });
  return { listen, unlisten, rest: { [Symbol.asyncIterator]: () => events } };
}

test("a Receive that nobody reads ends a while after its link", async () => {
  const links = createClient(LinkService, transport());
  const responses = links.receive({})[Symbol.asyncIterator]();
  const { linkId, linkToken } = (await responses.next()).value?.opened ?? {};
  const receive = calls.at(-1) as ServerHttp2Stream;
  // All but the channels that a link may have are reset, with a reason.
  const path = "/streamserver.v1.RelayService/Watch";
  const packets = Array.from({ length: 4_096 }, (_, at) => ({
    channel: at + 1,
    content: { case: "request" as const, value: { path } },
  }));
  await links.send({ linkId, linkToken, sequence: 1n, packets });
  await until(() => receive.writableNeedDrain);
  await links.send({ linkId, linkToken, sequence: 2n, packets: [{ content: { case: "reset", value: { code: 1 } } }] });
  expect(proxy.counts.links).toBe(0);
  clock.advance(closeTimeoutMs - 1);
  expect(receive.destroyed).toBe(false);
  clock.advance(1);
  expect(receive.destroyed).toBe(true);
});

test("a Listen that nobody reads ends a while after its lease", async () => {
  const { listen, unlisten } = await unreadListen();
  await unlisten();
  clock.advance(closeTimeoutMs - 1);
  expect(listen.destroyed).toBe(false);
  clock.advance(1);
  expect(listen.destroyed).toBe(true);
});

test("a Listen that is read late, but in time, is read to its end", async () => {
  const { unlisten, rest } = await unreadListen();
  await unlisten();
  clock.advance(closeTimeoutMs - 1);
  for await (const _ of rest);
  clock.advance(closeTimeoutMs);
});

test("a Watch that nobody reads ends a while after the access token was revoked that let it in", async () => {
  const other = createServer();
  const guarded = StreamServerProxy({ clock, authorize: () => ({ subject: "ann" }) }).install(other);
  other.listen(0, "127.0.0.1");
  await once(other, "listening");
  const session = connect(`http://127.0.0.1:${(other.address() as AddressInfo).port}`, {
    settings: { initialWindowSize },
  });
  try {
    // More than Node buffers for a response.
    for (let name = 0; name < 1_000; name += 1) relayOf(guarded).listen(`${"x".repeat(250)}${name}`, true);
    const path = "/browser-server/streamserver.v1.RelayService/Watch";
    const call = session.request({ ":method": "POST", ":path": path, "content-type": "application/connect+proto" });
    call.on("error", () => {});
    call.end(envelope(0, new Uint8Array()));
    await until(() => guarded.counts.watchers === 1);
    expect(guarded.revoke({ sub: "ann" })).toBe(1);
    clock.advance(closeTimeoutMs - 1);
    await new Promise((resolve) => setImmediate(resolve));
    expect(guarded.counts.watchers).toBe(1);
    clock.advance(1);
    await until(() => guarded.counts.watchers === 0);
  } finally {
    guarded.close();
    session.destroy();
    await new Promise((resolve) => other.close(resolve));
  }
});

test("a call that nobody reads ends a while after the relay", async () => {
  const { listen } = await unreadListen();
  proxy.close();
  clock.advance(closeTimeoutMs - 1);
  expect(listen.destroyed).toBe(false);
  clock.advance(1);
  expect(listen.destroyed).toBe(true);
});

describe("A leg that has ended, and whose caller gives no room for any answer,", () => {
  const message = { case: "open" as const, value: { name: "room" } };
  const open = create(ConnectRequestSchema, { message });
  const binary = envelope(0, toBinary(ConnectRequestSchema, open));
  const json = envelope(0, new TextEncoder().encode(toJsonString(ConnectRequestSchema, open)));
  const legs = () => relayOf(proxy).counts.legs;

  const calls = () => relayOf(proxy).admission.count("call");
  /** More than Node buffers for a response, in any format. */
  const lastFrame = relayed(frame({ sequence: 1n, messages: [{ data: new Uint8Array(65_536) }] }));
  let session: ClientHttp2Session;

  beforeEach(async () => {
    session = connect(sessions.authority, { settings: { initialWindowSize: 0 } });
    await once(session, "remoteSettings");
  });

  afterEach(() => {
    session.destroy();
    clock.advance(answerTimeoutMs);
  });

  /** Opens legs, one after the other, to which the listener sends a frame and is gone. */
  async function endLegs(type: string, body: Uint8Array, count: number) {
    const relay = relayOf(proxy);
    const { lease } = relay.listen("room", false);
    const path = "/browser-server/streamserver.v1.RelayService/Connect";
    const headers = { ":method": "POST", ":path": path, "content-type": type, "x-forwarded-for": "192.0.2.1" };
    for (let leg = 0; leg < count; leg += 1) {
      const call = session.request(headers).on("error", () => {});
      call.write(body);
      await until(() => [...lease.waiting].length > 0);
      for (const offer of [...lease.waiting]) {
        const { half } = new Listening(relay.accept(offer.id, relay.offerToken(offer), undefined));
        half.put(lastFrame);
        half.fail(new StreamError("gone"));
      }
    }
  }

  test.each([
    ["binary", "application/connect+proto", binary],
    ["gRPC", "application/grpc", binary],
    ["JSON", "application/connect+json", json],
  ])("is cut off in time, in %s", async (_what, type, body) => {
    await endLegs(type, body, 2);
    clock.advance(answerTimeoutMs - 1);
    expect([legs(), calls()]).toEqual([2, 2]);
    clock.advance(1);
    await until(() => legs() + calls() === 0);
  });

  test("counts until its end is read, where nothing else is left to read, in JSON", async () => {
    const relay = relayOf(proxy);
    const path = "/browser-server/streamserver.v1.RelayService/Connect";
    const type = "application/connect+json";
    const headers = { ":method": "POST", ":path": path, "content-type": type, "x-forwarded-for": "192.0.2.1" };
    const { lease } = relay.listen("room", false);
    const call = session.request(headers).on("error", () => {});
    call.write(json);
    await until(() => [...lease.waiting].length > 0);
    lease.end("lost");
    expect(relay.admission.count("ended leg")).toBe(1);
    // The relay has made all of the response after some turns.
    for (let turns = 0; turns < 10; turns += 1) await new Promise((resolve) => setImmediate(resolve));
    expect(relay.admission.count("ended leg")).toBe(1);
    clock.advance(answerTimeoutMs);
    await until(() => legs() + calls() === 0);
  });

  test.each([
    ["binary", "application/connect+proto", binary],
    ["JSON", "application/connect+json", json],
  ])("is cut off at once if there are too many of the caller's, in %s", async (_what, type, body) => {
    await endLegs(type, body, 2 * maxStreamsPerCaller);
    expect(legs()).toBe(2 * maxStreamsPerCaller);
    clock.advance(0);
    await until(() => legs() === maxStreamsPerCaller);
  });
});
