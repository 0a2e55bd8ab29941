import { once } from "node:events";
import { createServer } from "node:http";
import { connect as connectHttp2 } from "node:http2";
import type { AddressInfo } from "node:net";
import { Writable } from "node:stream";
import { createConnectTransport } from "@connectrpc/connect-web";
import { Code, Failure, StreamClient, StreamServer } from "browser-stream-server";
import { StreamServerProxy } from "browser-stream-server/server";
import { afterAll, afterEach, beforeAll, expect, test } from "vitest";
import { holdsNothing, openRelay, type TestRelay } from "../relay-ports.js";

let relay: TestRelay;

beforeAll(async () => {
  relay = await openRelay();
});

afterEach(() => holdsNothing(relay));
afterAll(() => relay.close());

const linkTransport = () => createConnectTransport({ baseUrl: relay.url, useBinaryFormat: true });

test("a server that is ended while its link is opened leaves no link behind", async () => {
  const server = StreamServer(linkTransport()).listen("hasty");
  await server.end();
});

test("a stream that is destroyed while it is offered is withdrawn at once", async () => {
  const server = StreamServer(relay.origin).listen("slow to accept");
  await server.ready;
  const withdrawn = (async () => {
    for await (const stream of server) {
      await expect(stream.closed).rejects.toMatchObject({ failure: Failure.OFFER_GONE });
      return;
    }
  })();
  const stream = StreamClient(relay.origin).connect("slow to accept");
  while (relay.proxy.counts.offers === 0) await new Promise((resolve) => setImmediate(resolve));
  const startedAt = performance.now();
  stream.destroy();
  await withdrawn;
  expect(performance.now() - startedAt).toBeLessThan(500);
});

test("a listener's callback that reads until its stream fails has not failed itself", async () => {
  const ended: unknown[] = [];
  const server = StreamServer(relay.origin, async (stream) => {
    stream.closed.catch((reason) => ended.push(reason));
    for await (const _ of stream);
  }).listen("loops");
  await server.ready;
  const stream = StreamClient(relay.origin).connect("loops");
  await stream.opened;
  stream.destroy();
  while (ended.length === 0) await new Promise((resolve) => setImmediate(resolve));
  expect(ended).toEqual([expect.objectContaining({ failure: Failure.PEER_CANCELED, code: Code.Canceled })]);
  await server.end();
});

test("a signal that is aborted cancels the stream, for both sides", async () => {
  const abort = new AbortController();
  const server = StreamServer(relay.origin).listen("cancelled");
  await server.ready;
  const there = StreamClient(relay.origin).connect("cancelled", { signal: abort.signal });
  const { value: here } = await server[Symbol.asyncIterator]().next();
  here?.resume();
  await there.opened;
  abort.abort();
  await expect(there.closed).rejects.toMatchObject({ code: Code.Canceled });
  await expect(here?.closed).rejects.toMatchObject({ code: Code.Canceled });
  await server.end();
});

test("a second reader is refused, and a pipe to what is closed ends the stream", async () => {
  const server = StreamServer(relay.origin, (stream) => stream.write("hello")).listen("talks");
  await server.ready;
  const read = StreamClient(relay.origin).connect("talks");
  const first = read[Symbol.asyncIterator]();
  expect((await first.next()).value).toBe("hello");
  await expect(read[Symbol.asyncIterator]().next()).rejects.toMatchObject({ code: Code.FailedPrecondition });
  read.destroy();

  const closed = new Writable({ write: (_chunk, _encoding, done) => done() }).destroy();
  await once(closed, "close");
  const piped = StreamClient(relay.origin).connect("talks");
  piped.pipe(closed);
  await expect(piped.closed).rejects.toMatchObject({ code: Code.Canceled });
  await server.end();
});

test("a listener for ready that throws is the application's affair, and the name is free again", async () => {
  const thrown = once(process, "uncaughtException");
  const others = process.listeners("uncaughtException").filter((listener) => listener.length !== 0);
  for (const listener of others) process.off("uncaughtException", listener);
  const server = StreamServer(relay.origin).listen("throws");
  server.on("ready", () => {
    throw new Error("mine");
  });
  await server.ready;
  expect(((await thrown) as [Error])[0].message).toBe("mine");
  for (const listener of others) process.on("uncaughtException", listener);
  await server.end();
});

test("limits that cannot be are refused", () => {
  for (const limits of [
    { maxFrameBytes: 500 },
    { maxFrameBytes: 983_041 },
    { maxNames: 0 },
    { acceptTimeoutMs: Number.NaN },
  ]) {
    expect(() => StreamServerProxy({ limits })).toThrow(RangeError);
  }
});

test("an HTTP/2 connection is told its windows and its cap, and two relays on one server answer 404", async () => {
  const session = connectHttp2(relay.origin);
  const windowBytes = await new Promise((resolve) => {
    session.on("remoteSettings", ({ maxConcurrentStreams, initialWindowSize }) => {
      if (maxConcurrentStreams === 1_000) resolve(initialWindowSize);
    });
  });
  expect(windowBytes).toBe(1_048_576);
  session.close();

  const server = createServer().listen(0, "127.0.0.1");
  await once(server, "listening");
  const proxies = ["/a", "/b"].map((prefix) => StreamServerProxy({ prefix }).install(server));
  const origin = `http://127.0.0.1:${(server.address() as AddressInfo).port}`;
  const ask = async (path: string) => {
    const answer = await fetch(origin + path, {
      method: "POST",
      headers: { "content-type": "application/json", connection: "close" },
      body: "{}",
    });
    await answer.text();
    return answer.status;
  };
  const list = "/streamserver.v1.RelayService/List";
  expect([await ask("/elsewhere"), await ask(`/a${list}`), await ask(`/b${list}`)]).toEqual([404, 200, 200]);
  proxies[0]?.close();
  expect([await ask(`/a${list}`), await ask(`/b${list}`)]).toEqual([404, 200]);
  proxies[1]?.close();
  server.close();
});
