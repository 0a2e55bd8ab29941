import { IncomingMessage, ServerResponse } from "node:http";
import { Socket } from "node:net";
import { Code } from "@connectrpc/connect";
import { expect, test } from "vitest";
import type { Channel } from "../../../../link/channel/channel.js";
import { localCaller } from "../../../../server/admission/caller.js";
import type { HeldBytes, Holder } from "../../../../server/admission/held-bytes.js";
import { callListener, headTimeoutMsOf } from "../../../../server/gateway/listener-call.js";
import type { NodeRequest } from "../../../../server/http/node-server.js";
import { StreamError } from "../../../../stream/error/stream-error.js";
import { Deferred } from "../../../../stream/platform/deferred.js";
import { FakeClock } from "../../../fakes/fake-clock.js";

test("callListener resets the channel of a caller that has gone while it was opened", async () => {
  const request = new IncomingMessage(new Socket());
  const response = new ServerResponse(request);
  const resets: StreamError[] = [];
  const channel = { reset: (error: StreamError) => resets.push(error) } as Partial<Channel> as Channel;
  const clock = new FakeClock();
  await callListener({
    target: { kind: "listener", name: "n", authority: "localhost", path: "/", prefix: "" },
    request,
    response,
    dropsAuthorization: false,
    async open() {
      response.destroy();
      return channel;
    },
    clock,
  });
  expect(resets).toMatchObject([{ code: Code.Canceled }]);
  expect(clock.timers).toBe(0);
});

test("callListener counts the body of a request that waits for its channel, and ends the wait for its size", async () => {
  const request = new IncomingMessage(new Socket());
  const response = new ServerResponse(request);
  request.push(new Uint8Array(1_000));
  const holders = new Set<Holder>();
  const heldBytes = {
    add(holder: Holder) {
      holders.add(holder);
      return () => holders.delete(holder);
    },
  } as Partial<HeldBytes> as HeldBytes;
  const [failures, resets]: [StreamError[], StreamError[]] = [[], []];
  const opening = new Deferred<Channel>();
  const clock = new FakeClock();
  const calling = callListener({
    target: { kind: "listener", name: "n", authority: "localhost", path: "/", prefix: "" },
    request,
    response,
    dropsAuthorization: false,
    open: () => opening.promise,
    fail: (error) => failures.push(error),
    held: { heldBytes, caller: localCaller },
    clock,
  });
  const [holder] = holders;
  expect(holder?.heldBytes).toBe(1_000);
  const error = new StreamError("too much is unread", { code: Code.ResourceExhausted });
  holder?.endHeld(error);
  opening.resolve({ reset: (reason: StreamError) => resets.push(reason) } as Partial<Channel> as Channel);
  expect(await calling).toBeUndefined();
  expect([failures, resets.length, holders.size, clock.timers]).toEqual([[error], 1, 0, 0]);
});

test.each<[what: string, headers: Record<string, string>, expectedMs: number]>([
  ["a page", {}, 75_000],
  ["an API in JSON", { "content-type": "application/json" }, 75_000],
  ["gRPC", { "content-type": "application/grpc+proto" }, Number.POSITIVE_INFINITY],
  ["gRPC-Web", { "content-type": "application/grpc-web" }, Number.POSITIVE_INFINITY],
  ["a stream of Connect", { "content-type": "application/connect+json" }, Number.POSITIVE_INFINITY],
  [
    "a unary call of Connect",
    { "content-type": "application/json", "connect-protocol-version": "1" },
    Number.POSITIVE_INFINITY,
  ],
])("headTimeoutMsOf %s", (_what, headers, expectedMs) => {
  expect(headTimeoutMsOf({ headers } as Partial<NodeRequest> as NodeRequest, 75_000)).toBe(expectedMs);
});
