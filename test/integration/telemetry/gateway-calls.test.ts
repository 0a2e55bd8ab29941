import { once } from "node:events";
import { connect as connectHttp2, constants } from "node:http2";
import { connect } from "node:net";
import { StreamServer } from "browser-stream-server";
import { type HttpHandler, serve } from "browser-stream-server/http";
import { logRelay, type StreamServerProxyOptions } from "browser-stream-server/server";
import { afterEach, describe, expect, test } from "vitest";
import { WebSocket } from "ws";
import { Deferred } from "../../../stream/platform/deferred.js";
import { exchange, head } from "../gateway/raw-http.js";
import { holdsNothing, openRelay, type TestRelay } from "../relay-ports.js";
import { until } from "../until.js";

let relay: TestRelay;
const lines: Record<string, unknown>[] = [];
const ends: (() => Promise<unknown>)[] = [];

async function opened(options: StreamServerProxyOptions = {}): Promise<void> {
  relay = await openRelay({ gateway: { by: "path" }, ...options });
  lines.length = 0;
  logRelay(relay.proxy, { info: (fields) => lines.push(JSON.parse(JSON.stringify(fields))) });
}

async function serving(handler: HttpHandler): Promise<void> {
  const server = serve(relay.origin, "a", handler, { onError: () => {} });
  ends.push(() => server.end());
  await server.ready;
}

afterEach(async () => {
  for (const end of ends.splice(0)) await end();
  await holdsNothing(relay, "links");
  await relay.close();
});

/** Resolves with the lines of calls when there are so many. */
async function calls(count = 1): Promise<Record<string, unknown>[]> {
  const found = () => lines.filter(({ event }) => event === "call.ended");
  await until(
    () => found().length >= count,
    () => JSON.stringify(lines),
  );
  return found();
}

const caller = { door: "gateway", address: "127.0.0.1" };
const errorIdIn = (header: string | null) => /id="(.*)"/.exec(header ?? "")?.[1];

describe("the log of a call through the gateway", () => {
  test("has its name, method, status, bytes and caller, and nothing of what was asked for", async () => {
    await opened({ authorize: ({ token }) => ({ subject: token === "secret" ? "ann" : "" }) });
    await serving(async (request) => new Response(`${await request.text()}, world`, { status: 201 }));
    const url = `${relay.origin}/~/a/secret?secret`;
    const headers = { authorization: "Bearer secret", cookie: "secret=1" };
    await (await fetch(url, { method: "POST", body: "secret", headers })).text();
    const [line, ...others] = await calls();
    expect([line, others]).toEqual([
      {
        event: "call.ended",
        ...{ name: "a", method: "POST", status: 201, reason: "finished" },
        bytes: { request: 6, answer: 13 },
        durationMs: expect.any(Number),
        caller: { ...caller, subject: "ann" },
      },
      [],
    ]);
    expect(JSON.stringify(lines)).not.toContain("secret");
  });

  test("has the failure, the hop, and the id that the caller is told", async () => {
    await opened();
    const { headers } = await fetch(`${relay.origin}/~/nobody/`);
    const errorId = errorIdIn(headers.get("stream-error"));
    const failed = { reason: "NO_SUCH_NAME", hop: "relay", errorId };
    expect(await calls()).toMatchObject([{ name: "nobody", method: "GET", status: 503, ...failed }]);
    expect(lines.filter(({ event }) => event === "refused")).toMatchObject([{ call: "connect", errorId }]);
    expect(errorId).toBeDefined();
  });

  test("has the refusal of one for which there is no room", async () => {
    await opened({ limits: { maxGatewayCalls: 1 } });
    await serving(() => new Response(new ReadableStream({ start: (to) => to.enqueue(new Uint8Array(1)) })));
    const under = await fetch(`${relay.origin}/~/a/`);
    const { headers } = await fetch(`${relay.origin}/~/a/`);
    const errorId = errorIdIn(headers.get("stream-error"));
    const refused = lines.filter(({ event }) => event === "refused");
    expect(refused).toMatchObject([{ call: "gateway", errorId, limit: { name: "maxGatewayCalls" }, name: "a" }]);
    await under.body?.cancel();
    expect(await calls(2)).toMatchObject([{ status: 503 }, { status: 200, reason: "Canceled", hop: "caller" }]);
  });

  test("says of an answer that broke off why, and of a caller that left first that no answer had begun", async () => {
    await opened();
    const begun = new Deferred<void>();
    await serving(({ url }) => {
      if (url.endsWith("/silent")) {
        begun.resolve();
        return new Promise(() => {});
      }
      return new Response(new ReadableStream({ pull: (to) => to.error(new Error("a secret")) }), {
        headers: { "content-length": "5" },
      });
    });
    await exchange(relay.origin, head("GET", "/~/a/"));
    const abort = new AbortController();
    const silent = fetch(`${relay.origin}/~/a/silent`, { signal: abort.signal }).catch(() => {});
    await begun.promise;
    abort.abort();
    await silent;
    const [broken, left] = await calls(2);
    expect(broken).toMatchObject({ reason: "Internal", hop: "peer" });
    expect(left).toMatchObject({ reason: "Canceled", hop: "caller" });
    expect(left).not.toHaveProperty("status");
    expect(JSON.stringify(lines)).not.toContain("secret");
  });

  test.each<[what: string, leave: (begun: Promise<void>) => Promise<void>]>([
    [
      "resets its call over HTTP/2",
      async (begun) => {
        const session = connectHttp2(relay.origin).on("error", () => {});
        const call = session.request({ ":path": "/~/a/" }).on("error", () => {});
        await begun;
        call.close(constants.NGHTTP2_CANCEL);
        await once(call, "close");
        session.destroy();
      },
    ],
    [
      "breaks off its upload",
      async (begun) => {
        const { port } = new URL(relay.origin);
        const socket = connect(Number(port), "127.0.0.1");
        socket.write(`${head("POST", "/~/a/", ["Content-Length: 9"])}abc`);
        await begun;
        socket.destroy();
      },
    ],
  ])("names a caller that %s", async (_, leave) => {
    await opened();
    const begun = new Deferred<void>();
    await serving(() => {
      begun.resolve();
      return new Promise(() => {});
    });
    await leave(begun.promise);
    const [left] = await calls();
    expect(left).toMatchObject({ reason: "Canceled", hop: "caller" });
    expect(left).not.toHaveProperty("status");
  });

  test("has a WebSocket when it has ended, with the bytes of its messages, and one that was refused", async () => {
    await opened();
    const server = StreamServer(relay.origin, (stream) => {
      stream.on("data", (message) => stream.write(`${message}, world`)).on("end", () => stream.end());
    }).listen("a");
    ends.push(() => server.end());
    await server.ready;
    const socket = new WebSocket(`${relay.origin.replace("http", "ws")}/~/a/secret`);
    await once(socket, "open");
    socket.send("hello");
    await once(socket, "message");
    expect(lines.filter(({ event }) => event === "call.ended")).toEqual([]);
    socket.close(1000);
    await once(socket, "close");
    const ended = { name: "a", method: "GET", status: 101, reason: "finished" };
    expect(await calls()).toMatchObject([{ ...ended, bytes: { request: 5, answer: 12 }, caller }]);
    const refused = new WebSocket(`${relay.origin.replace("http", "ws")}/~/nobody/`);
    await once(refused, "error");
    const failed = { name: "nobody", status: 503, reason: "NO_SUCH_NAME", errorId: expect.any(String), caller };
    expect((await calls(2))[1]).toMatchObject(failed);
    expect(JSON.stringify(lines)).not.toContain("secret");
  });
});
