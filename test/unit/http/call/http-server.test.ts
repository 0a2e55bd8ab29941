import { expect, test } from "vitest";
import { Failure, Hop } from "../../../../gen/streamserver/v1/failure_pb.js";
import { fetchCall } from "../../../../http/call/fetch-call.js";
import { HttpServer } from "../../../../http/call/http-server.js";
import { httpMetadata, linkCodec, openLink } from "../../../../http/link/stream-link.js";
import type { LinkStream } from "../../../../http/link/stream-pipe.js";
import { FakeClock } from "../../../fakes/fake-clock.js";
import { promiseState, rejection, settled } from "../../../fakes/outcome.js";
import { joinedStreams } from "../../../fakes/streams.js";

/** A server whose handler never answers, and a call to it. */
async function hangingCall() {
  const clock = new FakeClock();
  const [client, listener] = joinedStreams({}, linkCodec) as [LinkStream, LinkStream];
  Object.assign(listener, { metadata: httpMetadata });
  const aborted: unknown[] = [];
  const server = new HttpServer({
    handler: ({ signal }) => {
      signal.addEventListener("abort", () => aborted.push(signal.reason));
      return new Promise(() => {});
    },
    headTimeoutMs: 60_000,
    accept: undefined,
    maxCallsPerStream: 8,
    onError: () => {},
    clock,
    listen: (onStream) => {
      onStream(listener);
      return { ready: Promise.resolve(), closed: Promise.resolve(), end: async () => {} };
    },
  });
  const link = await openLink(client, "n", clock);
  const call = fetchCall("/", undefined, {
    openChannel: async (head) => link.open(head),
    headTimeoutMs: 75_000,
    clock,
  });
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
