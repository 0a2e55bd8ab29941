import { once } from "node:events";
import { type AddressInfo, createServer, type Socket } from "node:net";
import { create, toBinary } from "@bufbuild/protobuf";
import { Code, Failure, Hop, StreamError } from "browser-stream-server";
import { LinkMessageSchema } from "browser-stream-server/gen";
import type { RelayLimits } from "browser-stream-server/server";
import { afterEach, describe, expect, test, vi } from "vitest";
import { WebSocket } from "ws";
import { heartbeatsUntilLost, LinkWatch } from "../../../link/link-watch.js";
import { linkProtocol, linkSocketPath } from "../../../link/packet/link-message.js";
import type { Clock } from "../../../stream/platform/clock.js";
import { systemClock } from "../../../stream/platform/system-clock.js";
import { openWebSocketLink } from "../../../web/link/websocket-link.js";
import { FakeClock } from "../../fakes/fake-clock.js";
import { rejection } from "../../fakes/outcome.js";
import { opening, RawLink } from "../raw-link.js";
import { holdsNothing, openRelay, type TestRelay } from "../relay-ports.js";
import { openedMessage, openLinkServer, openSocketServer } from "../socket-servers.js";

const openTimeoutMs = 100;
const heartbeatIntervalMs = 15_000;
/** A machine under load may be this late for a deadline. */
const slackMs = 2_000;

const closers: (() => Promise<void>)[] = [];

afterEach(async () => {
  vi.restoreAllMocks();
  for (const close of closers.splice(0)) await close();
});

async function socketServer(onSocket: (socket: WebSocket) => void): Promise<string> {
  const { url, close } = await openSocketServer(onSocket);
  closers.push(close);
  return url;
}

async function relayWith(limits: Partial<RelayLimits>, clock: Clock = systemClock): Promise<TestRelay> {
  const relay = await openRelay({ limits, clock });
  closers.push(() => relay.close());
  return relay;
}

const openLink = (url: string, timeoutMs = 10_000, clock: Clock = systemClock) =>
  openWebSocketLink(url, clock, timeoutMs);

/**
 * Opens a link at a server of the test's. Resolves with the error that the link ends with, and the close code that the
 * server then gets.
 */
async function endOf(afterOpening: (socket: WebSocket) => void) {
  let told: Promise<unknown[]> = Promise.resolve([]);
  const url = await socketServer((socket) => {
    told = once(socket, "close");
    socket.send(openedMessage());
    afterOpening(socket);
  });
  const { link } = await openLink(url);
  return { error: await link.closed, told };
}

describe("a server that says nothing is given up in time", () => {
  async function givenUp(url: string): Promise<void> {
    const startMs = performance.now();
    const error = await rejection(openLink(url, openTimeoutMs));
    const tookMs = performance.now() - startMs;
    expect(error).toMatchObject({ code: Code.Unavailable, failure: Failure.LEG_LOST });
    expect(tookMs).toBeGreaterThanOrEqual(openTimeoutMs - 1);
    expect(tookMs).toBeLessThan(openTimeoutMs + slackMs);
  }

  test("after it has taken the WebSocket, which is closed", async () => {
    let closed: Promise<unknown> | undefined;
    await givenUp(
      await socketServer((socket) => {
        closed = once(socket, "close");
      }),
    );
    expect(closed).toBeDefined();
    await closed;
  });

  test("after it has taken the connection, which is closed", async () => {
    const connections: Socket[] = [];
    const server = createServer((connection) => connections.push(connection)).listen(0, "127.0.0.1");
    await once(server, "listening");
    closers.push(async () => void (await new Promise((resolve) => server.close(resolve))));
    await givenUp(`http://127.0.0.1:${(server.address() as AddressInfo).port}`);
    const [connection] = connections;
    if (connection?.destroyed === false) await once(connection.resume(), "close");
    expect(connections).toHaveLength(1);
  });
});

test("a link that is given up while it opens has its WebSocket closed, and says why", async () => {
  const leaving = new AbortController();
  const why = new StreamError("left");
  let closed: Promise<unknown> | undefined;
  const url = await socketServer((socket) => {
    closed = once(socket, "close");
    leaving.abort(why);
  });
  const open = () => rejection(openWebSocketLink(url, systemClock, 10_000, leaving.signal));
  expect(await open()).toBe(why);
  await closed;
  closed = undefined;
  expect(await open()).toBe(why);
  expect(closed).toBeUndefined();
});

describe("what a relay closes the WebSocket with is told by its code", () => {
  const lost = { code: Code.Unavailable, failure: Failure.LEG_LOST, hop: Hop.RELAY };
  const codes: [number, object][] = [
    [4008, { code: Code.ResourceExhausted, failure: Failure.UNSPECIFIED }],
    [1001, lost],
    [1009, { code: Code.ResourceExhausted, failure: Failure.UNSPECIFIED }],
    [1006, lost],
    [4999, lost],
  ];
  const closing = (code: number) => (socket: WebSocket) => {
    if (code === 1006) socket.terminate();
    else socket.close(code);
  };

  test.each(codes)("%s before a link was opened", async (closeCode, told) => {
    const url = await socketServer(closing(closeCode));
    expect(await rejection(openLink(url))).toMatchObject(told);
  });

  test.each(codes)("%s afterwards", async (closeCode, told) => {
    const { error } = await endOf(closing(closeCode));
    expect(error).toMatchObject(told);
  });
});

describe("what is no message of a link ends it", () => {
  const violation = { code: Code.InvalidArgument, failure: Failure.PROTOCOL_VIOLATION };
  const emptyMessage = toBinary(LinkMessageSchema, create(LinkMessageSchema));

  test.each<[string, string | Uint8Array]>([
    ["text", "text"],
    ["bytes that nobody can decode", new Uint8Array([255, 255, 255, 255])],
  ])("%s", async (_, data) => {
    const { error, told } = await endOf((socket) => socket.send(data));
    expect(error).toMatchObject(violation);
    expect((await told)[0]).toBe(4003);
  });

  test.each<[string, string | Uint8Array]>([
    ["text", "text"],
    ["bytes that nobody can decode", new Uint8Array([255, 255, 255, 255])],
    ["a message that opens no link", emptyMessage],
  ])("%s before anything else", async (_, data) => {
    const url = await socketServer((socket) => socket.send(data));
    expect(await rejection(openLink(url))).toMatchObject({ code: Code.Unavailable, failure: Failure.LEG_LOST });
  });
});

test("why the relay opens no link is told by its failure", async () => {
  const relay = await relayWith({ maxLinks: 1 });
  const { link } = await openLink(relay.url);
  const error = await rejection(openLink(relay.url));
  expect(error).toMatchObject({ code: Code.ResourceExhausted, failure: Failure.LIMIT_REACHED });
  link.close(new StreamError("done", { code: Code.Canceled }));
});

test("a relay that ends says so on its links, and closes their WebSockets as one that goes away", async () => {
  const relay = await relayWith({});
  const { link } = await openLink(relay.url);
  const socket = new WebSocket(relay.url + linkSocketPath, linkProtocol);
  const closed = once(socket, "close");
  await once(socket, "message");
  relay.proxy.close();
  expect(await link.closed).toMatchObject({ code: Code.Unavailable, failure: Failure.DRAINING });
  expect((await closed)[0]).toBe(1012);
});

describe("silence", () => {
  test("of a relay is noticed after two and a half heartbeats", async () => {
    const clock = new FakeClock();
    let told: Promise<unknown[]> | undefined;
    const url = await socketServer((socket) => {
      told = once(socket, "close");
      socket.send(openedMessage(heartbeatIntervalMs));
    });
    const { link } = await openLink(url, 10_000, clock);
    clock.advance(heartbeatsUntilLost * heartbeatIntervalMs - 1);
    expect(link.isOpen).toBe(true);
    clock.advance(1);
    expect(await link.closed).toMatchObject({ code: Code.Unavailable, failure: Failure.LEG_LOST });
    expect((await told)?.[0]).toBe(4014);
  });

  /** A browser whose page stands still. */
  async function stillPage(autoPong: boolean) {
    const clock = new FakeClock();
    const relay = await relayWith({ heartbeatIntervalMs }, clock);
    const socket = new WebSocket(relay.url + linkSocketPath, linkProtocol, { autoPong });
    const closed = once(socket, "close").then(([code]) => code as number);
    await once(socket, "message");
    return { clock, relay, socket, closed };
  }

  test("of a page is none while its browser answers the relay's pings", async () => {
    const { clock, relay, socket, closed } = await stillPage(true);
    for (let beats = 0; beats < 2 * heartbeatsUntilLost; beats += 1) {
      const pinged = once(socket, "ping");
      clock.advance(heartbeatIntervalMs);
      await pinged;
      // The answer to a ping of the browser's says that the relay has its pong, and counts for nothing itself.
      const answered = once(socket, "pong");
      socket.ping();
      await answered;
      expect(relay.proxy.counts.links).toBe(1);
    }
    socket.close();
    await closed;
    await holdsNothing(relay);
  });

  test("of a browser ends its link", async () => {
    const { clock, relay, closed } = await stillPage(false);
    clock.advance(heartbeatsUntilLost * heartbeatIntervalMs - 1);
    expect(relay.proxy.counts.links).toBe(1);
    clock.advance(1);
    expect(await closed).toBe(4014);
    await holdsNothing(relay);
  });

  test("is none where both sides have nothing to say", async () => {
    const clock = new FakeClock();
    const relay = await relayWith({ heartbeatIntervalMs }, clock);
    const heard = vi.spyOn(LinkWatch.prototype, "heard");
    const { link } = await openLink(relay.url, 10_000, clock);
    for (let beats = 0; beats < 2 * heartbeatsUntilLost; beats += 1) {
      heard.mockClear();
      clock.advance(heartbeatIntervalMs);
      await vi.waitUntil(() => new Set(heard.mock.contexts).size === 2, { interval: 1, timeout: 10_000 });
    }
    expect(link.isOpen).toBe(true);
    expect(relay.proxy.counts.links).toBe(1);
    link.close(new StreamError("done", { code: Code.Canceled }));
    await holdsNothing(relay);
  });
});

test("a packet that cannot be written ends its link, and says why", async () => {
  const unwritable = new StreamError("no code is so large", { code: (2 ** 33) as Code });
  const server = await openLinkServer(() => {}, { serveChannel: async (channel) => channel.reset(unwritable) });
  closers.push(() => server.close());
  const raw = await RawLink.open(server);
  raw.send(opening(1));
  expect(await raw.closed).toBe(4000 + Code.Unknown);
  expect(server.links.counts.links).toBe(0);
});
