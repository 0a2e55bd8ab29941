import { once } from "node:events";
import { createServer, type Http2Server, type ServerHttp2Stream } from "node:http2";
import type { AddressInfo } from "node:net";
import { createClient } from "@connectrpc/connect";
import { createConnectTransport, Http2SessionManager } from "@connectrpc/connect-node";
import { LinkService, RelayService } from "browser-stream-server/gen";
import { StreamServerProxy } from "browser-stream-server/server";
import { afterEach, beforeEach, expect, test } from "vitest";
import { FakeClock } from "../../fakes/fake-clock.js";
import { refused } from "../raw-calls.js";
import { until } from "../until.js";

/** A call's first response fits in, and little else. */
const initialWindowSize = 1_024;
const closeTimeoutMs = 5_000;

let clock: FakeClock;
let proxy: StreamServerProxy;
let server: Http2Server;
/** The relay's ends of the calls so far. */
let calls: ServerHttp2Stream[];
let sessions: Http2SessionManager;

beforeEach(async () => {
  clock = new FakeClock();
  server = createServer();
  proxy = StreamServerProxy({ clock }).install(server);
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

test("a call that nobody reads ends a while after the relay", async () => {
  const { listen } = await unreadListen();
  proxy.close();
  clock.advance(closeTimeoutMs - 1);
  expect(listen.destroyed).toBe(false);
  clock.advance(1);
  expect(listen.destroyed).toBe(true);
});
