import { StringValueSchema } from "@bufbuild/protobuf/wkt";
import {
  type CallOptions,
  type Client,
  Code,
  ConnectError,
  createClient,
  type HandlerContext,
  type Interceptor,
  type ServiceImpl,
} from "@connectrpc/connect";
import { createWebSocketTransport, type WebSocketTransportOptions } from "browser-stream-server";
import { afterAll, afterEach, beforeAll, describe, expect, test } from "vitest";
import { Condition } from "../../../stream/platform/deferred.js";
import { EchoService } from "../../contract/service/echo-service.js";
import { openLinkServer } from "../socket-servers.js";

/** The names of methods in the order in which an interceptor met them. */
const intercepted: string[] = [];
const intercept: Interceptor = (next) => (request) => {
  intercepted.push(request.method.name);
  return next(request);
};

/** The ends of the calls that waited, as their handlers saw them. */
const ended: { code: Code; hadDeadline: boolean }[] = [];
const endedMore = new Condition();
/** The content types of requests. */
const types = new Set<string>();

/** The number of calls that wait or have waited. */
let waiting = 0;
const waitingMore = new Condition();

async function untilAborted(signal: AbortSignal, timeoutMs: number | undefined): Promise<never> {
  waiting += 1;
  waitingMore.notify();
  await new Promise((resolve) => signal.addEventListener("abort", resolve, { once: true }));
  ended.push({ code: ConnectError.from(signal.reason).code, hadDeadline: timeoutMs !== undefined });
  endedMore.notify();
  throw signal.reason;
}

function failed(): ConnectError {
  const details = [{ desc: StringValueSchema, value: { value: "the reason" } }];
  return new ConnectError("failed", Code.DataLoss, { "x-of-error": "told" }, details);
}

/** Sends headers and trailers, which every method does besides echoing. Methods "fail" or "wait" after it. */
function answer({ requestHeader, responseHeader, responseTrailer }: HandlerContext): void {
  types.add(requestHeader.get("content-type") ?? "");
  responseHeader.set("x-answer", `${requestHeader.get("x-question")} heard`);
  responseTrailer.set("x-after", "all");
}

async function failOrWait(value: string, { signal, timeoutMs }: HandlerContext): Promise<void> {
  if (value === "fail") throw failed();
  if (value === "wait") await untilAborted(signal, timeoutMs());
}

const echo: Partial<ServiceImpl<typeof EchoService>> = {
  async unary({ value }, context) {
    answer(context);
    await failOrWait(value, context);
    return { value };
  },
  async *serverStream({ value }, context) {
    answer(context);
    yield* [...value].map((character) => ({ value: character }));
    await failOrWait(value, context);
  },
  async clientStream(requests, context) {
    answer(context);
    let joined = "";
    for await (const { value } of requests) joined += value;
    await failOrWait(joined, context);
    return { value: joined };
  },
  async *bidiStream(requests, context) {
    answer(context);
    for await (const { value } of requests) {
      yield { value };
      await failOrWait(value, context);
    }
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
  waiting = 0;
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

type Call = (client: Client<typeof EchoService>, value: string, options?: CallOptions) => Promise<string[]>;

/** A call of each kind with one request message, and the texts of its answer. */
const kinds: [string, Call][] = [
  ["unary", async ({ unary }, value, options) => [(await unary({ value }, options)).value]],
  ["server streaming", ({ serverStream }, value, options) => texts(serverStream({ value }, options))],
  [
    "client streaming",
    async ({ clientStream }, value, options) => [(await clientStream(requests(value), options)).value],
  ],
  ["bidi streaming", ({ bidiStream }, value, options) => texts(bidiStream(requests(value), options))],
];

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

  test("calls of all four kinds end at their deadline, on both sides", async () => {
    const caller = client(options);
    // The deadline is long enough for a busy machine to have all calls at their handlers.
    const calls = kinds.map(([, call]) => errorOf(call(caller, "wait", { timeoutMs: 1_000 })));
    expect((await Promise.all(calls)).map(({ code }) => code)).toEqual(kinds.map(() => Code.DeadlineExceeded));
    while (ended.length < kinds.length) await endedMore.changed();
    for (const { code, hadDeadline } of ended) {
      expect(hadDeadline).toBe(true);
      // Whichever of the two clocks is first.
      expect([Code.DeadlineExceeded, Code.Canceled]).toContain(code);
    }
  });

  describe.each(kinds)("%s", (_kind, call) => {
    test("has headers and trailers", async () => {
      const met: (string | null)[] = [];
      await call(client(options), "a", {
        headers: { "x-question": "what" },
        onHeader: (headers) => met.push(headers.get("x-answer")),
        onTrailer: (trailers) => met.push(trailers.get("x-after")),
      });
      expect(met).toEqual(["what heard", "all"]);
    });

    test("fails with the details and the headers of an error", async () => {
      const error = await errorOf(call(client(options), "fail"));
      expect(error).toMatchObject({ code: Code.DataLoss, rawMessage: "failed" });
      expect(error.findDetails(StringValueSchema)).toMatchObject([{ value: "the reason" }]);
      expect(error.metadata.get("x-of-error")).toBe("told");
    });

    test("is cancelled for the other side too", async () => {
      const abort = new AbortController();
      const calling = errorOf(call(client(options), "wait", { signal: abort.signal }));
      while (waiting === 0) await waitingMore.changed();
      abort.abort();
      expect((await calling).code).toBe(Code.Canceled);
      while (ended.length === 0) await endedMore.changed();
      expect(ended).toEqual([{ code: Code.Canceled, hadDeadline: false }]);
    });
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
