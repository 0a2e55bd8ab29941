import { IncomingMessage, ServerResponse } from "node:http";
import { Socket } from "node:net";
import { Code } from "@connectrpc/connect";
import { expect, test } from "vitest";
import type { Channel } from "../../../../link/channel/channel.js";
import { callListener, headTimeoutMsOf } from "../../../../server/gateway/listener-call.js";
import type { NodeRequest } from "../../../../server/http/node-server.js";
import type { StreamError } from "../../../../stream/error/stream-error.js";
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
