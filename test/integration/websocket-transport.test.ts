import { StringValueSchema } from "@bufbuild/protobuf/wkt";
import { Code, ConnectError, createClient, type Interceptor, type ServiceImpl } from "@connectrpc/connect";
import { createWebSocketTransport, type WebSocketTransportOptions } from "browser-stream-server";
import { afterAll, afterEach, beforeAll, describe, expect, test } from "vitest";
import { Condition } from "../../stream/deferred.js";
import { EchoService } from "./echo-service.js";
import { openLinkServer } from "./socket-servers.js";

/** The names of methods in the order in which an interceptor met them. */
const intercepted: string[] = [];
const intercept: Interceptor = (next) => (request) => {
  intercepted.push(request.method.name);
  return next(request);
};

/** How calls that waited were ended, as their handlers saw it. */
const ended: { code: Code; hadDeadline: boolean }[] = [];
const endedMore = new Condition();
/** The content types of requests. */
const types = new Set<string>();

async function untilAborted(signal: AbortSignal, timeoutMs: number | undefined): Promise<never> {
  await new Promise((resolve) => signal.addEventListener("abort", resolve, { once: true }));
  ended.push({ code: ConnectError.from(signal.reason).code, hadDeadline: timeoutMs !== undefined });
  endedMore.notify();
  throw signal.reason;
}

function failed(): ConnectError {
  const details = [{ desc: StringValueSchema, value: { value: "the reason" } }];
  return new ConnectError("failed", Code.DataLoss, { "x-of-error": "told" }, details);
}

const echo: ServiceImpl<typeof EchoService> = {
  async unary({ value }, { requestHeader, responseHeader, responseTrailer, signal, timeoutMs }) {
    types.add(requestHeader.get("content-type") ?? "");
    responseHeader.set("x-answer", `${requestHeader.get("x-question")} heard`);
    responseTrailer.set("x-after", "all");
    if (value === "fail") throw failed();
    if (value === "wait") return untilAborted(signal, timeoutMs());
    return { value };
  },
  async *serverStream({ value }, { responseHeader, responseTrailer, signal, timeoutMs }) {
    responseHeader.set("x-answer", "heard");
    responseTrailer.set("x-after", "all");
    yield* [...value].map((character) => ({ value: character }));
    if (value === "fail") throw failed();
    if (value === "wait") await untilAborted(signal, timeoutMs());
  },
  async clientStream(requests) {
    let joined = "";
    for await (const { value } of requests) joined += value;
    return { value: joined };
  },
  async *bidiStream(requests, { requestHeader }) {
    types.add(requestHeader.get("content-type") ?? "");
    for await (const { value } of requests) yield { value };
  },
};

type LinkServer = Awaited<ReturnType<typeof openLinkServer>>;
let server: LinkServer;

beforeAll(async () => {
  server = await openLinkServer((router) => router.service(EchoService, echo));
});

afterEach(() => {
  for (const connection of server.connections.splice(0)) connection.destroy();
  for (const list of [intercepted, ended]) list.length = 0;
  types.clear();
});
afterAll(() => server.close());

const client = (options: Partial<WebSocketTransportOptions> = {}) =>
  createClient(EchoService, createWebSocketTransport({ baseUrl: server.url, ...options }));

async function texts(responses: AsyncIterable<{ value: string }>): Promise<string[]> {
  const all: string[] = [];
  for await (const { value } of responses) all.push(value);
  return all;
}

async function* requests(...values: string[]) {
  yield* values.map((value) => ({ value }));
}

async function errorOf(call: Promise<unknown>): Promise<ConnectError> {
  return call.then(
    () => {
      throw new Error("the call did not fail");
    },
    (reason: unknown) => ConnectError.from(reason),
  );
}

const ways: [string, Partial<WebSocketTransportOptions>, string[]][] = [
  ["binary", {}, ["application/proto", "application/connect+proto"]],
  ["JSON", { useBinaryFormat: false }, ["application/json", "application/connect+json"]],
  ["interceptors", { interceptors: [intercept] }, ["application/proto", "application/connect+proto"]],
];

describe.each(ways)("any service, with %s", (_, options, expectedTypes) => {
  test("calls of all four kinds, on one WebSocket", async () => {
    const { unary, serverStream, clientStream, bidiStream } = client(options);
    expect((await unary({ value: "one" })).value).toBe("one");
    expect(await texts(serverStream({ value: "abc" }))).toEqual(["a", "b", "c"]);
    expect((await clientStream(requests("a", "b", "c"))).value).toBe("abc");
    expect(await texts(bidiStream(requests("x", "y")))).toEqual(["x", "y"]);
    expect(server.connections).toHaveLength(1);
    expect([...types]).toEqual(expectedTypes);
    const met = options.interceptors === undefined ? [] : ["Unary", "ServerStream", "ClientStream", "BidiStream"];
    expect(intercepted).toEqual(met);
  });

  test("requests and responses take turns on one call", async () => {
    const answered = new Condition();
    const heard: string[] = [];
    async function* inTurn() {
      for (const value of ["first", "second", "third"]) {
        yield { value };
        while (heard.at(-1) !== value) await answered.changed();
      }
    }
    for await (const { value } of client(options).bidiStream(inTurn())) {
      heard.push(value);
      answered.notify();
    }
    expect(heard).toEqual(["first", "second", "third"]);
  });

  test.each(["unary", "serverStream"] as const)("headers and trailers of %s", async (method) => {
    const met: (string | null)[] = [];
    const call = {
      headers: { "x-question": "what" },
      onHeader: (headers: Headers) => met.push(headers.get("x-answer")),
      onTrailer: (trailers: Headers) => met.push(trailers.get("x-after")),
    };
    if (method === "unary") await client(options).unary({ value: "a" }, call);
    else await texts(client(options).serverStream({ value: "a" }, call));
    expect(met).toEqual([method === "unary" ? "what heard" : "heard", "all"]);
  });

  test("the details and the headers of an error", async () => {
    const calls = [client(options).unary({ value: "fail" }), texts(client(options).serverStream({ value: "fail" }))];
    for (const error of await Promise.all(calls.map(errorOf))) {
      expect(error).toMatchObject({ code: Code.DataLoss, rawMessage: "failed" });
      expect(error.findDetails(StringValueSchema)).toMatchObject([{ value: "the reason" }]);
      expect(error.metadata.get("x-of-error")).toBe("told");
    }
  });

  test("a deadline, on both sides", async () => {
    const error = await errorOf(client(options).unary({ value: "wait" }, { timeoutMs: 50 }));
    expect(error.code).toBe(Code.DeadlineExceeded);
    while (ended.length === 0) await endedMore.changed();
    expect(ended[0]).toMatchObject({ hadDeadline: true });
    expect([Code.DeadlineExceeded, Code.Canceled]).toContain(ended[0]?.code);
  });

  test("a call that is cancelled is cancelled for the other side", async () => {
    const abort = new AbortController();
    const calling = (async () => {
      for await (const { value } of client(options).serverStream({ value: "wait" }, { signal: abort.signal })) {
        if (value === "t") abort.abort();
      }
    })();
    expect((await errorOf(calling)).code).toBe(Code.Canceled);
    while (ended.length === 0) await endedMore.changed();
    expect(ended).toEqual([{ code: Code.Canceled, hadDeadline: false }]);
  });
});

describe("the WebSocket of a transport", () => {
  test("is opened anew after it broke, which fails what was on it", async () => {
    const { unary, serverStream } = client();
    const waiting = serverStream({ value: "wait" })[Symbol.asyncIterator]();
    await waiting.next();
    server.connections[0]?.destroy();
    const rest = async () => {
      while (!(await waiting.next()).done);
    };
    expect((await errorOf(rest())).code).toBe(Code.Unavailable);
    expect((await unary({ value: "again" })).value).toBe("again");
    expect(server.connections).toHaveLength(2);
  });

  test("is kept for the next call, and closed when none has come for a while", async () => {
    const { unary } = client({ idleTimeoutMs: 40 });
    await unary({ value: "first" });
    await unary({ value: "next" });
    const [connection, ...others] = server.connections;
    expect(others).toEqual([]);
    const calledMs = performance.now();
    await new Promise((resolve) => connection?.once("close", resolve));
    expect(performance.now() - calledMs).toBeGreaterThanOrEqual(30);
    expect(server.links.counts.links).toBe(0);
    await unary({ value: "later" });
    expect(server.connections).toHaveLength(2);
  });

  test("is not closed while a call is on it", async () => {
    const { unary, serverStream } = client({ idleTimeoutMs: 10 });
    const abort = new AbortController();
    const waiting = serverStream({ value: "wait" }, { signal: abort.signal })[Symbol.asyncIterator]();
    await waiting.next();
    await errorOf(unary({ value: "wait" }, { timeoutMs: 60 }));
    expect(server.connections.map(({ destroyed }) => destroyed)).toEqual([false]);
    abort.abort();
  });

  test("that cannot be had is `unavailable`", async () => {
    const gone = await openLinkServer(() => {});
    await gone.close();
    expect((await errorOf(client({ baseUrl: gone.url }).unary({}))).code).toBe(Code.Unavailable);
  });
});
