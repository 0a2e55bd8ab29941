import { Code } from "@connectrpc/connect";
import { expect, test, vi } from "vitest";
import { Failure, Hop } from "../../../../gen/streamserver/v1/failure_pb.js";
import type { ChannelRequest } from "../../../../gen/streamserver/v1/link_pb.js";
import { fetchCall } from "../../../../http/call/fetch-call.js";
import { HttpServer } from "../../../../http/call/http-server.js";
import type { HttpHandler } from "../../../../http/call/served-call.js";
import { httpMetadata, linkCodec, openLink } from "../../../../http/link/stream-link.js";
import type { LinkStream } from "../../../../http/link/stream-pipe.js";
import { trailersOf, withTrailers } from "../../../../http/message/trailers.js";
import { FakeClock } from "../../../fakes/fake-clock.js";
import { promiseState, rejection, settled } from "../../../fakes/outcome.js";
import { joinedStreams } from "../../../fakes/streams.js";
import { uncaughtDuring } from "../../../fakes/uncaught.js";

/** A server, and the function `fetch` that calls it. */
async function served(handler: HttpHandler, onError: (error: unknown) => void = () => {}) {
  const clock = new FakeClock();
  const [client, listener] = joinedStreams({}, linkCodec) as [LinkStream, LinkStream];
  Object.assign(listener, { metadata: httpMetadata });
  const server = new HttpServer({
    handler,
    headTimeoutMs: 60_000,
    accept: undefined,
    maxCallsPerStream: 8,
    onError,
    clock,
    listen: (onStream) => {
      onStream(listener);
      return { ready: Promise.resolve(), closed: Promise.resolve(), end: async () => {} };
    },
  });
  const link = await openLink(client, "n", clock);
  const options = { openChannel: async (head: ChannelRequest) => link.open(head), headTimeoutMs: 75_000, clock };
  const fetch = (input: string | Request, init?: RequestInit) => fetchCall(input, init, options);
  return { clock, client, listener, server, fetch };
}

/** A server whose handler never answers, and a call to it. */
async function hangingCall() {
  const aborted: unknown[] = [];
  const { clock, server, fetch } = await served(({ signal }) => {
    signal.addEventListener("abort", () => aborted.push(signal.reason));
    return new Promise(() => {});
  });
  const call = fetch("/");
  call.catch(() => {});
  await settled();
  return { clock, server, call, aborted };
}

test("HttpServer.end cuts off calls that take longer than 10 s, and not before", async () => {
  const { clock, server, call, aborted } = await hangingCall();
  const ended = server.end();
  await settled();
  clock.advance(9_999);
  expect([await promiseState(ended), await promiseState(call)]).toEqual(["pending", "pending"]);
  clock.advance(1);
  await ended;
  expect(await rejection(call)).toMatchObject({ failure: Failure.DRAINING, hop: Hop.PEER });
  expect(aborted).toHaveLength(1);
  // The handler is waited for until its own time is over, because it counts among those that the stream may have.
  clock.advance(60_000);
  expect(clock.timers).toBe(0);
});

test("HttpServer answers for a handler that takes longer than its time, and leaves no timer", async () => {
  const { clock, call, aborted } = await hangingCall();
  clock.advance(59_999);
  expect(await promiseState(call)).toBe("pending");
  clock.advance(1);
  expect((await call).status).toBe(504);
  expect(aborted).toHaveLength(1);
  expect(clock.timers).toBe(0);
});

test("HttpServer answers HEAD without waiting for the body of its handler to be canceled", async () => {
  const cancel = () => new Promise<void>(() => {});
  const { fetch } = await served(() => new Response(new ReadableStream({ cancel })));
  const call = fetch("/", { method: "HEAD" });
  const response = await call;
  await settled();
  expect(await promiseState(trailersOf(response))).toBe("resolved");
});

test("HttpServer tells nobody of a body that fails because its caller has gone", async () => {
  const errors: unknown[] = [];
  const handler: HttpHandler = async ({ body, signal }) => {
    await new Promise((resolve) => signal.addEventListener("abort", resolve));
    return new Response(body);
  };
  const { fetch } = await served(handler, (error) => errors.push(error));
  const abort = new AbortController();
  const call = fetch("/", { method: "POST", body: new ReadableStream(), signal: abort.signal });
  call.catch(() => {});
  await settled();
  abort.abort();
  await settled();
  await settled();
  expect(errors).toEqual([]);
});

test("fetchCall rejects in time where the trailers of its request never come", async () => {
  const { clock, fetch } = await served(() => new Promise(() => {}));
  const message = new Request("http://localhost/", { method: "POST", body: "x" });
  const call = fetch(withTrailers(message, () => new Promise(() => {})));
  call.catch(() => {});
  await settled();
  clock.advance(75_000);
  expect((await rejection(call)).code).toBe(Code.DeadlineExceeded);
});

test.each([new Uint16Array([1]), new DataView(new ArrayBuffer(2)), "text"])(
  "HttpServer fails a body with a chunk that is no Uint8Array: %o",
  async (chunk) => {
    const errors: unknown[] = [];
    const body = new ReadableStream({
      start(controller) {
        controller.enqueue(chunk);
        controller.close();
      },
    });
    const { fetch } = await served(
      () => new Response(body),
      (error) => errors.push(error),
    );
    const response = await fetch("/");
    expect((await rejection(response.arrayBuffer())).code).toBe(Code.Internal);
    expect(errors).toEqual([expect.any(TypeError)]);
  },
);

test("HttpServer answers for a handler that fails where its onError fails as well", async () => {
  const fail = () => {
    throw new Error("broken");
  };
  const { fetch } = await served(fail, fail);
  const uncaught = await uncaughtDuring(async () => expect((await fetch("/")).status).toBe(500));
  expect(uncaught).toHaveLength(1);
});

test("HttpServer answers calls that are made in one task in one message, in which their requests come too", async () => {
  const { client, listener, fetch } = await served(() => new Response("answer"));
  const messages = { requests: 0, answers: 0 };
  listener.on("data", () => {
    messages.requests += 1;
  });
  client.on("data", () => {
    messages.answers += 1;
  });
  const texts = await Promise.all([fetch("/"), fetch("/")].map(async (call) => (await call).text()));
  expect(texts).toEqual(["answer", "answer"]);
  expect(messages).toEqual({ requests: 1, answers: 1 });
});

test("HttpServer sets a timer only for a handler that does not answer at once", async () => {
  const times: number[] = [];
  for (const answer of [new Response(), Promise.resolve(new Response())]) {
    const { clock, fetch } = await served(() => answer);
    const after = vi.spyOn(clock, "after");
    await fetch("/");
    times.push(after.mock.calls.filter(([delayMs]) => delayMs === 60_000).length);
  }
  expect(times).toEqual([0, 1]);
});
