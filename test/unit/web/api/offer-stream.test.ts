import { create, type MessageInitShape } from "@bufbuild/protobuf";
import { Code, ConnectError, createRouterTransport, type Transport } from "@connectrpc/connect";
import { beforeEach, expect, test } from "vitest";
import { Failure, Hop } from "../../../../gen/streamserver/v1/failure_pb.js";
import { type AcceptResponseSchema, OfferSchema, RelayService } from "../../../../gen/streamserver/v1/relay_pb.js";
import { rawCodec } from "../../../../stream/codec.js";
import { StreamError } from "../../../../stream/error/stream-error.js";
import { Deferred } from "../../../../stream/platform/deferred.js";
import { OfferStream } from "../../../../web/api/offer-stream.js";
import { maxBackoffMs } from "../../../../web/transport/way-back.js";
import { FakeClock } from "../../../fakes/fake-clock.js";
import { promiseState, rejection, settled, thrown } from "../../../fakes/outcome.js";
import { uncaughtDuring } from "../../../fakes/uncaught.js";

/** A reset waits so long for a relay that has answered, and is to wait longer for one that has not. */
const resetTimeoutMs = 1_000;

let clock: FakeClock;
/** The relay's answer to `Accept`. */
let answer: Deferred<void>;
/** The calls that the relay has heard, in order. */
let heard: unknown[];
let transport: Transport;
/** The errors that the relay answers calls of `Reject` with, in order. */
let rejectErrors: ConnectError[];
let unheard: StreamError[];
let decisions: string[];

beforeEach(() => {
  clock = new FakeClock();
  answer = new Deferred();
  heard = [];
  rejectErrors = [];
  unheard = [];
  decisions = [];
  transport = createRouterTransport(({ service }) => {
    service(RelayService, {
      async *accept(requests): AsyncGenerator<MessageInitShape<typeof AcceptResponseSchema>> {
        heard.push("accept");
        await answer.promise;
        yield { message: { case: "opened", value: { streamId: "id" } } };
        for await (const { message } of requests) {
          if (message.case === "frame" && message.value.reset) heard.push(message.value.reset.reason);
        }
      },
      reject({ streamId, code, reason }) {
        heard.push([streamId, Code[code], reason]);
        const error = rejectErrors.shift();
        if (error !== undefined) throw error;
        return {};
      },
    });
  });
});

function offered({ maxMessageBytes = 0, graceMs = 0 } = {}) {
  return new OfferStream({
    offer: create(OfferSchema, { streamId: "id", capabilities: { maxMessageBytes: BigInt(maxMessageBytes) } }),
    codec: rawCodec,
    clock,
    transport,
    graceMs,
    onDecided: (decision) => decisions.push(decision),
    onOver: () => decisions.push("over"),
    onUnheard: (error) => unheard.push(error),
  });
}

test("OfferStream.accept that the relay refuses rejects the offer, which waits no more", async () => {
  const offer = offered();
  offer.accept();
  answer.reject(new ConnectError("too many calls", Code.FailedPrecondition));
  const closed = await rejection(offer.stream.closed);
  await offer.told;
  expect(heard).toEqual(["accept", ["id", "FailedPrecondition", closed.message]]);
});

test("OfferStream resets a stream that was destroyed after Accept was sent, however long the relay takes to answer", async () => {
  const offer = offered();
  offer.stream.write("hello");
  await settled();
  offer.stream.destroy(new Error("no"));
  clock.advance(2 * resetTimeoutMs);
  await settled();
  expect(await promiseState(offer.told)).toBe("pending");
  answer.resolve();
  await settled();
  expect(heard).toEqual(["accept", "no"]);
  await offer.told;
  clock.advance(resetTimeoutMs);
  await settled();
  expect(clock.timers).toBe(0);
});

test("OfferStream tells the relay of a stream that is over in the turn that accepts it by Reject alone", async () => {
  const offer = offered();
  offer.stream.write("hello");
  expect(decisions).toEqual(["accepted"]);
  offer.stream.destroy(new Error("no"));
  await offer.told;
  expect(heard).toEqual([["id", "Unknown", "no"]]);
  expect(decisions).toContain("over");
  expect(clock.timers).toBe(0);
});

test("OfferStream tells a relay that was not reached later that its offer is declined, within the grace period", async () => {
  const decline = ["id", "ResourceExhausted", "full"];
  const offer = offered({ graceMs: 10_000 });
  rejectErrors = [new ConnectError("not there", Code.Unavailable)];
  offer.stream.reject(Code.ResourceExhausted, "full");
  await settled();
  expect(heard).toEqual([decline]);
  expect(await promiseState(offer.told)).toBe("pending");
  clock.advance(maxBackoffMs);
  await offer.told;
  expect(heard).toEqual([decline, decline]);
  expect(clock.timers).toBe(0);
  // A relay that resumes no streams makes no offer again.
  const other = offered();
  rejectErrors = [new ConnectError("not there", Code.Unavailable)];
  other.stream.reject();
  await other.told;
});

test("OfferStream accepts nothing by a message that cannot be sent", async () => {
  const offer = offered({ maxMessageBytes: 10 });
  const refusals = [
    () => offer.stream.write(7 as never),
    () => offer.stream.write("a text of more than ten bytes"),
    () => offer.stream.write("\ud83d"),
    () => offer.stream.end(7 as never),
  ];
  for (const refused of refusals) expect(thrown(refused).hop).toBe(Hop.CALLER);
  expect(decisions).toEqual([]);
  offer.stream.write("ten bytes!");
  expect(decisions).toEqual(["accepted"]);
  answer.resolve();
  offer.stream.destroy();
  await offer.told;
});

test("OfferStream.withdraw is no error to show, and neither is one that the application has thrown", async () => {
  offered().withdraw(new StreamError("gone", { failure: Failure.OFFER_GONE }));
  const throwing = offered();
  const mine = new Error("the application's own");
  throwing.handTo(() => Promise.reject(mine));
  expect(await uncaughtDuring(() => throwing.told)).toEqual([mine]);
  expect(heard).toEqual([["id", "Internal", "the listener failed"]]);
  expect(unheard).toEqual([]);
  const destroyed = offered();
  destroyed.stream.destroy(new Error("no"));
  await destroyed.told;
  expect(unheard.map(({ message }) => message)).toEqual(["no"]);
});

test("OfferStream.handTo declines by a promise that rejects with undefined", async () => {
  const offer = offered();
  offer.handTo(() => Promise.reject());
  expect(await uncaughtDuring(() => settled())).toEqual([undefined]);
  expect(heard).toEqual([["id", "Internal", "the listener failed"]]);
});

test("OfferStream.handTo hands over no stream that was withdrawn before", async () => {
  const offer = offered();
  let handed = 0;
  offer.handTo(() => {
    handed += 1;
  });
  offer.withdraw(new StreamError("gone", { failure: Failure.OFFER_GONE }));
  await settled();
  expect(handed).toBe(0);
});
