import type { MessageInitShape } from "@bufbuild/protobuf";
import { createRouterTransport } from "@connectrpc/connect";
import { beforeEach, expect, test } from "vitest";
import { Failure, Hop } from "../../../../gen/streamserver/v1/failure_pb.js";
import {
  type ConnectRequest,
  type ConnectResponseSchema,
  RelayService,
} from "../../../../gen/streamserver/v1/relay_pb.js";
import { Condition } from "../../../../stream/deferred.js";
import { Fifo } from "../../../../stream/fifo.js";
import { Leg } from "../../../../stream/leg.js";
import { StreamError } from "../../../../stream/stream-error.js";
import { driveLeg } from "../../../../web/api/leg-driver.js";
import { FakeClock } from "../../../fakes/fake-clock.js";
import { promiseState, settled } from "../../../fakes/outcome.js";
import { errorOf } from "../../../fakes/violation.js";

/** How long the relay has to answer. */
const attachTimeoutMs = 20_000;
/** How long it has to end the call of a stream that is over. */
const finishTimeoutMs = 45_000;
/** How long a reset has to get out. */
const resetTimeoutMs = 1_000;

type Response = MessageInitShape<typeof ConnectResponseSchema>["message"];

let clock: FakeClock;
let leg: Leg;
/** What the relay has heard of the leg. */
let heard: ConnectRequest["message"][];
let driving: Promise<void>;
let isCancelled: boolean;
let say: (...responses: Response[]) => Promise<void>;

/** A leg whose relay says what the test does, and ends its call for nothing but being told to. */
beforeEach(async () => {
  clock = new FakeClock();
  leg = new Leg({});
  heard = [];
  isCancelled = false;
  const responses = new Fifo<Response>();
  const changed = new Condition();
  say = async (...more) => {
    for (const response of more) responses.push(response);
    changed.notify();
    await settled();
  };
  const transport = createRouterTransport(({ service }) => {
    service(RelayService, {
      async *connect(requests, { signal }): AsyncGenerator<MessageInitShape<typeof ConnectResponseSchema>> {
        signal.addEventListener("abort", () => {
          isCancelled = true;
          changed.notify();
        });
        void (async () => {
          for await (const { message } of requests) heard.push(message);
        })().catch(() => {});
        while (!isCancelled) {
          const message = responses.shift();
          if (message === undefined) await changed.changed();
          else yield { message };
        }
      },
    });
  });
  driving = driveLeg({ leg, transport: async () => transport, method: "connect", open: { name: "name" }, clock });
  await settled();
});

const opened: Response = { case: "opened", value: { streamId: "id" } };
const accepted: Response = { case: "accepted", value: {} };

/** The call goes on until so much time has passed. */
async function isCancelledAfter(timeoutMs: number): Promise<void> {
  clock.advance(timeoutMs - 1);
  await settled();
  expect(isCancelled).toBe(false);
  clock.advance(1);
  await driving;
  expect(isCancelled).toBe(true);
  expect(clock.timers).toBe(0);
}

test("a relay that answers no Open in time is lost", async () => {
  clock.advance(attachTimeoutMs - 1);
  expect(leg.endpoint.state.kind).toBe("open");
  clock.advance(1);
  expect(errorOf(leg.endpoint)).toMatchObject({ failure: Failure.LEG_LOST, hop: Hop.RELAY });
  await isCancelledAfter(resetTimeoutMs);
});

test("a relay that has answered may take its time", async () => {
  await say(opened);
  expect(clock.timers).toBe(0);
  clock.advance(attachTimeoutMs);
  expect(leg.endpoint.state.kind).toBe("open");
});

test("the call of a stream that was finished is cancelled if the relay does not end it", async () => {
  await say(opened, accepted, { case: "frame", value: { sequence: 1n, fin: true } });
  leg.endpoint.finish();
  await settled();
  expect(leg.endpoint.state.kind).toBe("closed");
  expect(heard.at(-1)?.value).toMatchObject({ fin: true });
  await isCancelledAfter(finishTimeoutMs);
});

test("a reset has a moment to get out before its call is cancelled", async () => {
  await say(opened, accepted);
  leg.endpoint.reset(new StreamError("enough"));
  await settled();
  expect(heard.at(-1)?.value).toMatchObject({ reset: { reason: "enough" } });
  expect(await promiseState(driving)).toBe("pending");
  await isCancelledAfter(resetTimeoutMs);
});

test("a reset of what is still an offer is told by hanging up at once", async () => {
  await say(opened);
  leg.endpoint.reset(new StreamError("enough"));
  await driving;
  expect(isCancelled).toBe(true);
  expect(clock.timers).toBe(0);
});
