import { describe, expect, test } from "vitest";
import { Failure } from "../../../../../gen/streamserver/v1/failure_pb.js";
import { maxWaitingOfferBytes } from "../../../../../server/admission/resource.js";
import { StreamError } from "../../../../../stream/error/stream-error.js";
import { settled, thrown } from "../../../../fakes/outcome.js";
import { Listening, leaseEvents, newRelay, noFacts } from "../../../../fakes/relays.js";

const nothing = { leases: 0, offers: 0, streams: 0, legs: 0 };

function waitingClient(limits: Parameters<typeof newRelay>[0] = {}, waitForListenerMs = 60_000) {
  const test = newRelay(limits);
  const wait = (name = "room", metadata: Record<string, string> = {}) =>
    test.relay.connect(name, { ...noFacts, metadata }, waitForListenerMs).splice;
  return { ...test, wait };
}

describe("an offer for a name without a listener", () => {
  test("waits so long, and then there is no such name", () => {
    const { relay, clock, wait } = waitingClient({}, 1_000);
    const atClient = new Listening(wait().client);
    clock.advance(999);
    expect([relay.counts.offers, atClient.end]).toEqual([1, "open"]);
    clock.advance(1);
    expect(atClient.end).toMatchObject({ failure: Failure.NO_SUCH_NAME });
    expect(relay.counts).toEqual(nothing);
    expect(clock.timers).toBe(0);
  });

  test("is announced to the listener that comes, which has as long as ever to accept it", async () => {
    const { relay, clock, wait } = waitingClient({ acceptTimeoutMs: 500 }, 1_000);
    const [first, second, other] = [wait(), wait(), wait("other")];
    clock.advance(999);
    const { lease, call } = relay.listen("room", false);
    expect(call.mentionWaiting()).toEqual([first.id, second.id]);
    const heard = leaseEvents(lease);
    await settled();
    expect(heard).toEqual([first, second].map((offer) => ({ kind: "offer", offer })));
    clock.advance(499);
    relay.accept(first.id, relay.offerToken(first), undefined);
    clock.advance(1);
    expect([first.kind, second.kind, other.kind]).toEqual(["spliced", "ended", "ended"]);
    expect(clock.timers).toBe(0);
  });

  test("leaves the queue when its client goes, and makes room in it", () => {
    const { relay, clock, wait } = waitingClient({ maxWaitingOffers: 1 });
    const gone = wait();
    expect(thrown(() => wait("other")).failure).toBe(Failure.LIMIT_REACHED);
    gone.client.fail(new StreamError("gone", { failure: Failure.PEER_CANCELED }));
    expect(relay.listen("room", false).lease.offers).toBe(0);
    wait("other").end();
    expect([relay.counts.offers, clock.timers]).toEqual([0, 0]);
  });

  test("is one of so many of its name, as many as one listener may have", () => {
    const { relay, told, wait } = waitingClient({ maxOffersPerName: 2 });
    wait();
    wait();
    expect(thrown(() => wait()).failure).toBe(Failure.LIMIT_REACHED);
    wait("other");
    expect(relay.listen("room", false).lease.offers).toBe(2);
    expect(told.map((warning) => warning.kind === "limit-reached" && warning.limit)).toEqual(["maxOffersPerName"]);
  });

  test("fits into the bytes that all of them may have together", () => {
    const { relay, told, wait } = waitingClient({ maxMetadataBytes: maxWaitingOfferBytes });
    const metadata = { half: "x".repeat(maxWaitingOfferBytes / 2) };
    const first = wait("a", metadata);
    expect(thrown(() => wait("b", metadata)).failure).toBe(Failure.LIMIT_REACHED);
    expect(told.map((warning) => warning.kind === "limit-reached" && warning.limit)).toEqual(["maxWaitingOffers"]);
    expect(relay.counts.offers).toBe(1);
    first.end();
    wait("b", metadata);
  });

  test("is over with the relay", () => {
    const { relay, clock, wait } = waitingClient();
    const atClient = new Listening(wait().client);
    relay.close();
    expect(atClient.end).toMatchObject({ failure: Failure.DRAINING });
    expect([relay.counts.offers, clock.timers]).toEqual([0, 0]);
  });
});

test("an offer whose listener goes waits for the next one, if its client does", async () => {
  const { relay, clock, wait } = waitingClient({}, 5_000);
  const before = relay.listen("room", false);
  const [patient, other] = [new Listening(wait().client), new Listening(relay.connect("room", noFacts).splice.client)];
  clock.advance(4_000);
  before.lease.end("canceled");
  expect(other.end).toMatchObject({ failure: Failure.LISTENER_GONE });
  expect(relay.listen("room", false).lease.offers).toBe(1);
  relay.registry.byName("room").end("canceled");
  clock.advance(1_000);
  expect(patient.end).toMatchObject({ failure: Failure.NO_SUCH_NAME });
  expect([relay.counts.offers, clock.timers]).toEqual([0, 0]);
});
