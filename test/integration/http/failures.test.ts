import { Code, Failure, Hop, StreamClient, StreamServer } from "browser-stream-server";
import { type CallInfo, createFetch, type FetchOverStream, type HttpServer, serve } from "browser-stream-server/http";
import { afterAll, afterEach, beforeAll, describe, expect, test } from "vitest";
import type { ChannelRequest } from "../../../gen/streamserver/v1/link_pb.js";
import { httpMetadata, linkCodec, openLink, serveLink } from "../../../http/link/stream-link.js";
import { requestToWire, responseToWire } from "../../../http/message/head.js";
import type { Channel } from "../../../link/channel/channel.js";
import { Deferred } from "../../../stream/platform/deferred.js";
import { systemClock } from "../../../stream/platform/system-clock.js";
import { rejection } from "../../fakes/outcome.js";
import { holdsNothing, openRelay, type TestRelay } from "../relay-ports.js";

let relay: TestRelay;
const ends: (() => Promise<unknown>)[] = [];

beforeAll(async () => {
  relay = await openRelay({
    authorize: ({ token }) => (token === "" ? {} : { subject: token, name: "A name", meta: { team: "a" } }),
  });
});

afterEach(async () => {
  for (const end of ends.splice(0)) await end();
  await holdsNothing(relay, "links");
});

afterAll(() => relay.close());

async function serving(...args: Parameters<typeof serve> extends [unknown, ...infer Rest] ? Rest : never) {
  const server: HttpServer = serve(relay.origin, ...args);
  ends.push(() => server.end());
  await server.ready;
  return server;
}

function fetching(name: string, options?: Parameters<typeof createFetch>[2]): FetchOverStream {
  const fetch = createFetch(relay.origin, name, options);
  ends.unshift(() => fetch.close());
  return fetch;
}

describe("createFetch", () => {
  test("rejects where nobody listens, and waits for a listener if asked to", async () => {
    expect(await rejection(fetching("nobody")("/"))).toMatchObject({ failure: Failure.NO_SUCH_NAME, hop: Hop.RELAY });
    const waiting = fetching("later", { waitForListenerMs: 20_000 })("/");
    await serving("later", () => new Response("here"));
    expect(await (await waiting).text()).toBe("here");
  });

  test.each([
    ["speaks first", (write: (text: string) => void) => write("hello")],
    ["ends at once", (_: unknown, end: () => void) => end()],
  ])("rejects for a listener that %s and serves no HTTP", async (_, use) => {
    const server = StreamServer(relay.origin, (stream) => {
      stream.on("error", () => {});
      use(
        (text) => stream.write(text),
        () => stream.end(),
      );
      stream.resume();
    }).listen("raw");
    ends.push(() => server.end());
    await server.ready;
    const error = await rejection(fetching("raw")("/", { method: "POST", body: "never sent" }));
    expect([error.code, error.hop]).toEqual([Code.Unimplemented, Hop.PEER]);
  });

  test("fails a call with how its stream ends, and opens another stream for the next", async () => {
    let streams = 0;
    const server = StreamServer(relay.origin, { codec: linkCodec }, (stream) => {
      streams += 1;
      const isFirst = streams === 1;
      stream.on("error", () => {});
      const onRequest = (channel: Channel) => {
        channel.respond(responseToWire(200, new Headers()));
        if (isFirst) stream.destroy();
        else channel.end();
      };
      serveLink(stream, { maxCalls: 1, onRequest });
    }).listen("lost");
    ends.push(() => server.end());
    await server.ready;
    const fetch = fetching("lost");
    const failed = rejection(fetch("/").then((response) => response.text()));
    expect(await failed).toMatchObject({ failure: Failure.PEER_CANCELED, hop: Hop.PEER });
    expect(await (await fetch("/")).text()).toBe("");
    expect(streams).toBe(2);
  });

  test("fails a body that its listener sends longer or shorter than it says", async () => {
    const server = StreamServer(relay.origin, { codec: linkCodec }, (stream) => {
      const onRequest = (channel: Channel, { path }: ChannelRequest) => {
        channel.respond(responseToWire(200, new Headers({ "content-length": path.slice(1) })));
        channel.write(new Uint8Array(6));
        channel.end();
      };
      serveLink(stream, { maxCalls: 8, onRequest });
    }).listen("lying");
    ends.push(() => server.end());
    await server.ready;
    const fetch = fetching("lying");
    const read = (bytes: number) => fetch(`/${bytes}`).then((response) => response.arrayBuffer());
    for (const bytes of [5, 7]) expect((await rejection(read(bytes))).failure).toBe(Failure.PROTOCOL_VIOLATION);
    expect((await read(6)).byteLength).toBe(6);
  });

  test("rejects when no head has come in time", async () => {
    const server = StreamServer(relay.origin, { codec: linkCodec }, (stream) => {
      serveLink(stream, { maxCalls: 8, onRequest: () => {} });
    }).listen("mute");
    ends.push(() => server.end());
    await server.ready;
    const error = await rejection(fetching("mute", { headTimeoutMs: 50 })("/"));
    expect(error).toMatchObject({ code: Code.DeadlineExceeded, hop: Hop.PEER });
  });

  test("waits for a handler as long as the handler says, where the server does not say otherwise", async () => {
    const handler = Object.assign(() => new Promise<Response>(() => {}), { headTimeoutMs: 50 });
    const server = serve(relay.origin, "patient", handler);
    ends.push(() => server.end());
    await server.ready;
    expect((await fetching("patient")("/")).status).toBe(504);
  });

  test("throws for options that do not exist, and for values that they cannot have", () => {
    const wrong = { waitForListenerMs: "1" } as unknown as object;
    expect(() => createFetch(relay.origin, "n", { codec: 1 } as object)).toThrow(
      expect.objectContaining({ code: Code.InvalidArgument }),
    );
    expect(() => createFetch(relay.origin, "n", wrong)).toThrow(
      expect.objectContaining({ code: Code.InvalidArgument }),
    );
  });
});

describe("serve", () => {
  test("declines a client of streams that does not ask for HTTP", async () => {
    await serving("http", () => new Response(""));
    const stream = StreamClient(relay.origin).connect("http");
    expect(await rejection(stream.closed)).toMatchObject({ failure: Failure.DECLINED, code: Code.FailedPrecondition });
  });

  test("ends a stream whose bytes are no link, and goes on with the calls of others", async () => {
    const answer = new Deferred<Response>();
    await serving("sturdy", () => answer.promise);
    const call = fetching("sturdy")("/");
    const stream = StreamClient(relay.origin).connect("sturdy", { metadata: { protocol: "http" } });
    stream.write(new Uint8Array([0xff, 0xff]));
    expect((await rejection(stream.closed)).failure).toBe(Failure.PROTOCOL_VIOLATION);
    answer.resolve(new Response("undisturbed"));
    expect(await (await call).text()).toBe("undisturbed");
  });

  test("tells the handler who calls, as the relay has verified it", async () => {
    const seen: [CallInfo, string | null][] = [];
    await serving("who", (request, info) => {
      seen.push([info, request.headers.get("forwarded")]);
      return new Response("");
    });
    await fetching("who", { token: "ann" })("/");
    await fetching("who", { token: "ann@example.com" })("/");
    await fetching("who")("https://shop.example/x");
    expect(seen.map(([{ caller }, forwarded]) => [caller?.subject, forwarded])).toEqual([
      ["ann", 'for=_ann;host="localhost";proto=http'],
      ["ann@example.com", 'for=unknown;host="localhost";proto=http'],
      ["", 'for=unknown;host="shop.example";proto=https'],
    ]);
    expect(seen[0]?.[0].caller).toMatchObject({ name: "A name", meta: { team: "a" } });
  });

  test("end() lets calls under way finish, refuses others, and gives the name back", async () => {
    const begun = new Deferred<void>();
    const answer = new Deferred<Response>();
    const server = await serving("ending", () => {
      begun.resolve();
      return answer.promise;
    });
    const fetch = fetching("ending");
    const call = fetch("/");
    await begun.promise;
    const ended = server.end();
    expect(await rejection(fetch("/"))).toMatchObject({ failure: Failure.DRAINING, hop: Hop.PEER });
    answer.resolve(new Response("finished"));
    expect(await (await call).text()).toBe("finished");
    await ended;
    await server.closed;
    expect(await rejection(fetch("/"))).toMatchObject({ failure: Failure.NO_SUCH_NAME });
  });

  test("tells the application of errors of its handler", async () => {
    const told: unknown[] = [];
    const error = new Error("broken");
    const fail = () => {
      throw error;
    };
    await serving("failing", fail, { onError: (reason, request) => told.push(reason, new URL(request.url).pathname) });
    expect((await fetching("failing")("/x")).status).toBe(500);
    expect(told).toEqual([error, "/x"]);
  });

  test.each([9, 11])("tells onError of a body of %s bytes whose Content-Length is 10", async (bytes) => {
    const told: unknown[] = [];
    const handler = () => new Response("x".repeat(bytes), { headers: { "content-length": "10" } });
    await serving("wrong", handler, { onError: (reason) => told.push(reason) });
    await rejection((await fetching("wrong")("/")).text());
    expect(told).toMatchObject([{ failure: Failure.PROTOCOL_VIOLATION }]);
  });

  test("tells nobody of a handler that fails because its caller has gone", async () => {
    const told: unknown[] = [];
    const begun = new Deferred<void>();
    const failed = new Deferred<void>();
    const handler = ({ signal }: Request) =>
      new Promise<Response>((_, reject) => {
        begun.resolve();
        signal.addEventListener("abort", () => {
          reject(new Error("interrupted"));
          setImmediate(failed.resolve);
        });
      });
    await serving("left", handler, { onError: (reason) => told.push(reason) });
    const abort = new AbortController();
    const call = fetching("left")("/", { signal: abort.signal }).catch(() => {});
    await begun.promise;
    abort.abort();
    await Promise.all([call, failed.promise]);
    expect(told).toEqual([]);
  });

  test.each(["CONNECT", "TRACE", "TRACK", "connect", "trace"])(
    "answers the method %s with 501, and asks no handler",
    async (method) => {
      await serving("methods", () => new Response(""));
      const stream = StreamClient(relay.origin, { codec: linkCodec }).connect("methods", { metadata: httpMetadata });
      const link = await openLink(stream, "methods", systemClock);
      const head = { method, scheme: "http", authority: "localhost", path: "/", headers: new Headers() };
      expect((await link.open(requestToWire(head)).response.promise).status).toBe(501);
      link.closeIfIdle();
      stream.destroy();
    },
  );

  test("fails as a stream server does", async () => {
    await serving("taken", () => new Response(""));
    const second = serve(relay.origin, "taken", () => new Response(""));
    expect((await rejection(second.ready)).failure).toBe(Failure.NAME_TAKEN);
    expect((await rejection(second.closed)).failure).toBe(Failure.NAME_TAKEN);
    await second.end();
  });
});
