import { Code, ConnectError, createRouterTransport } from "@connectrpc/connect";
import { expect, test } from "vitest";
import { Failure } from "../../../../gen/streamserver/v1/failure_pb.js";
import { RelayService } from "../../../../gen/streamserver/v1/relay_pb.js";
import { toConnectError } from "../../../../stream/error/failure-detail.js";
import { StreamError } from "../../../../stream/error/stream-error.js";
import { bidiObstacle } from "../../../../web/transport/bidi-probe.js";
import { rejection } from "../../../fakes/outcome.js";

/** A transport whose `Connect` fails like that. */
function failing(error: ConnectError) {
  return createRouterTransport(({ service }) => {
    service(RelayService, {
      // biome-ignore lint/correctness/useYield: it answers with an error
      async *connect() {
        throw error;
      },
    });
  });
}

const told = (failure: Failure, code?: Code) => toConnectError(new StreamError("told", { failure, code }));

test.each([Failure.PROTOCOL_VIOLATION, Failure.DRAINING])(
  "what a relay says was carried: failure %d",
  async (failure) => {
    expect(await bidiObstacle(failing(told(failure)))).toBeUndefined();
  },
);

test.each([
  ["of a link that could not be opened", told(Failure.LEG_LOST)],
  ["of the transport's own, with a detail", told(Failure.UNSPECIFIED, Code.Unavailable)],
  ["of the transport's own", new ConnectError("away", Code.Unavailable)],
  ["of a deadline", new ConnectError("late", Code.DeadlineExceeded)],
])("nothing is known after a failure %s", async (_, error) => {
  expect((await rejection(bidiObstacle(failing(error)))).code).toBe(error.code);
});

test.each([
  ["without a detail", new ConnectError("no", Code.Unimplemented)],
  ["with a detail that is not a relay's", told(Failure.UNSPECIFIED, Code.Unimplemented)],
])("another refusal is an obstacle, %s", async (_, error) => {
  expect((await bidiObstacle(failing(error)))?.code).toBe(Code.Unimplemented);
});
