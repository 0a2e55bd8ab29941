import { Code, Failure } from "browser-stream-server";
import {
  type AcceptCaller,
  type CallerStream,
  createFetch,
  type ServeOptions,
  serve,
} from "browser-stream-server/http";
import { afterAll, beforeAll, describe, expect, onTestFinished, test } from "vitest";
import { Deferred } from "../../../stream/platform/deferred.js";
import { holdsNothing, openRelay, type TestRelay } from "../relay-ports.js";

let relay: TestRelay;

beforeAll(async () => {
  relay = await openRelay({ authorize: ({ token }) => (token === "" ? {} : { subject: token, name: "Ann" }) });
});

afterAll(async () => {
  await holdsNothing(relay, "links");
  await relay.close();
});

/** A server that asks `accept`, and a function that calls it as "ann". */
async function serving(name: string, accept: AcceptCaller, options: ServeOptions = {}) {
  const handler = async ({ url }: Request) => {
    const { pathname } = new URL(url);
    return pathname === "/never" ? new Promise<never>(() => {}) : new Response(pathname);
  };
  const server = serve(relay.origin, name, handler, { ...options, accept });
  onTestFinished(() => server.end());
  await server.ready;
  const fetch = createFetch(relay.origin, name, { token: "ann" });
  onTestFinished(() => fetch.close());
  return async (path: string) => {
    const response = await fetch(path);
    return { status: response.status, text: await response.text() };
  };
}

describe("serve's option accept", () => {
  test("is asked once for a stream, whose calls wait for it", async () => {
    const decision = new Deferred<boolean>();
    const asked: unknown[] = [];
    const get = await serving("asks", ({ subject, name, origin }) => {
      asked.push({ subject, name, origin });
      return decision.promise;
    });
    const answers = Promise.all([get("/a"), get("/b")]);
    const first = await Promise.race([answers, relay.proxy.counts.streams]);
    expect(first).toBeTypeOf("number");
    decision.resolve(true);
    expect(await answers).toEqual(["/a", "/b"].map((text) => ({ status: 200, text })));
    expect(await get("/c")).toMatchObject({ text: "/c" });
    expect(asked).toEqual([{ subject: "ann", name: "Ann", origin: "" }]);
  });

  test("declines the calls of a stream, and is asked for the next one", async () => {
    let asked = 0;
    const get = await serving("declines", () => {
      asked += 1;
      return asked === 2;
    });
    const declined = { failure: Failure.DECLINED, code: Code.PermissionDenied };
    for (const answer of await Promise.allSettled([get("/a"), get("/b")])) {
      expect(answer).toMatchObject({ status: "rejected", reason: declined });
    }
    expect(await get("/c")).toMatchObject({ text: "/c" });
    expect(asked).toBe(2);
  });

  test("may end the stream later, with its calls, and hear of its end", async () => {
    const streams: CallerStream[] = [];
    const get = await serving("ends", (_, stream) => streams.push(stream) > 0);
    await get("/a");
    const canceled = { code: Code.Canceled };
    const rejected = [streams[0]?.closed, get("/never")].map((each) => expect(each).rejects.toMatchObject(canceled));
    streams[0]?.destroy();
    await Promise.all(rejected);
    expect(await get("/b")).toMatchObject({ text: "/b" });
    expect(streams).toHaveLength(2);
  });

  test("answers calls with 500 where it fails, and with 504 where it takes too long", async () => {
    const errors: unknown[] = [];
    const failing = await serving("fails", () => Promise.reject(new Error("no window")), {
      onError: (error) => errors.push(error),
    });
    expect(await failing("/")).toMatchObject({ status: 500 });
    expect(errors).toMatchObject([{ message: "no window" }]);
    const slow = await serving("slow", () => new Promise(() => {}), { headTimeoutMs: 50 });
    expect(await slow("/")).toMatchObject({ status: 504 });
  });
});
