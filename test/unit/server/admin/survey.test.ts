import { create } from "@bufbuild/protobuf";
import { describe, expect, onTestFinished, test } from "vitest";
import { LegState, ShowRequestSchema, Side, StreamState, Wait } from "../../../../gen/streamserver/v1/admin_pb.js";
import { Failure } from "../../../../gen/streamserver/v1/failure_pb.js";
import { lookIntervalMs, maxReports, Survey } from "../../../../server/admin/survey.js";
import type { Half } from "../../../../server/relay/stream/half.js";
import { StreamError } from "../../../../stream/error/stream-error.js";
import { dataFrame, frame } from "../../../fakes/frames.js";
import {
  callBroke,
  comeBack,
  connect,
  Listening,
  newRelay,
  offeredStream,
  relayed,
  resumableStream,
  someCaller,
  type TestRelay,
} from "../../../fakes/relays.js";

function surveyOf({ relay, clock }: TestRelay) {
  const survey = new Survey(relay, () => ({ links: 0, channels: 0, watchers: 0 }));
  onTestFinished(() => survey.close());
  const look = (seconds = 1) => {
    for (let second = 0; second < seconds; second += 1) clock.advance(lookIntervalMs);
  };
  const show = (request = {}) => survey.show(create(ShowRequestSchema, request));
  const stream = () => show().streams?.[0];
  return { look, show, stream };
}

const bytes = (count: number) => ({ data: new Uint8Array(count) });
const attach = (...halves: Half[]) => halves.map((half) => new Listening(half));

describe("Survey.show", () => {
  test("says that a stream gets on whose frames are acknowledged, and how fast", () => {
    const pair = resumableStream();
    const { look, stream } = surveyOf(pair);
    attach(pair.client, pair.listener);
    look();
    for (let sequence = 1; sequence <= 5; sequence += 1) {
      pair.client.put(relayed(dataFrame(sequence, bytes(984))));
      pair.listener.put(relayed(frame({ ack: BigInt(sequence) })));
      look();
    }
    expect(stream()).toMatchObject({ wait: Wait.UNSPECIFIED, state: StreamState.ACCEPTED, ageMs: 6_000n });
    expect(stream()?.client).toMatchObject({ silentMs: 0n, unackedFrames: 0n, windowLeftBytes: 65_536n - 5_000n });
    expect(stream()?.client?.bytesPerSecond).toBe((stream()?.client?.sentBytes ?? 0n) / 5n);
  });

  test("names an endpoint that acknowledges nothing, once it has not for a while", () => {
    const pair = resumableStream();
    const { look, stream } = surveyOf(pair);
    attach(pair.client, pair.listener);
    pair.listener.put(relayed(dataFrame(1, bytes(10))));
    look(2);
    expect(stream()).toMatchObject({ wait: Wait.UNSPECIFIED, listener: { unackedFrames: 1n } });
    look(3);
    expect(stream()).toMatchObject({ wait: Wait.ACK, waitsFor: Side.CLIENT, waitMs: 4_000n });
    // Whoever acknowledges some of it gets on.
    pair.client.put(relayed(frame({ ack: 1n })));
    look();
    expect(stream()).toMatchObject({ wait: Wait.UNSPECIFIED, listener: { unackedFrames: 0n } });
  });

  test("does not name an endpoint that is always behind, but acknowledges one frame after the other", () => {
    const pair = resumableStream();
    const { look, stream } = surveyOf(pair);
    attach(pair.client, pair.listener);
    for (let sequence = 1; sequence <= 6; sequence += 1) {
      pair.client.put(relayed(dataFrame(sequence, bytes(10))));
      pair.listener.put(relayed(frame({ ack: BigInt(sequence - 1) })));
      look();
    }
    expect(stream()).toMatchObject({ wait: Wait.UNSPECIFIED, client: { unackedFrames: 1n } });
  });

  test("names an endpoint whose connection takes no bytes, rather than what follows from it", () => {
    const pair = resumableStream();
    const { look, stream } = surveyOf(pair);
    new Listening(pair.client);
    new Listening(pair.listener, 1);
    for (const sequence of [1, 2]) pair.client.put(relayed(dataFrame(sequence, bytes(60_000))));
    look(4);
    expect(stream()).toMatchObject({ wait: Wait.ROOM, waitsFor: Side.LISTENER, waitMs: 3_000n });
  });

  test("names an endpoint that has had everything and reads nothing of it", () => {
    const pair = resumableStream();
    const { look, stream } = surveyOf(pair);
    attach(pair.client, pair.listener);
    pair.listener.put(relayed(frame({ credit: 100_000n })));
    pair.client.put(relayed(dataFrame(1, bytes(49_984))));
    pair.listener.put(relayed(frame({ ack: 1n })));
    look(4);
    expect(stream()).toMatchObject({ wait: Wait.READ, waitsFor: Side.LISTENER, waitMs: 3_000n });
    expect(stream()?.client).toMatchObject({ windowLeftBytes: 50_000n, windowBytes: 100_000n });
    pair.listener.put(relayed(frame({ credit: 125_000n })));
    look(4);
    expect(stream()).toMatchObject({ wait: Wait.UNSPECIFIED, client: { windowLeftBytes: 75_000n } });
  });

  test("names an endpoint that has lost its leg, for how long, and knows no window of what came from elsewhere", () => {
    const pair = resumableStream();
    const { look, stream } = surveyOf(pair);
    attach(pair.client, pair.listener);
    pair.client.lose(callBroke());
    look(3);
    expect(stream()).toMatchObject({ wait: Wait.RETURN, waitsFor: Side.CLIENT, waitMs: 3_000n });
    expect(stream()?.client).toMatchObject({ leg: LegState.AWAY, legMs: 3_000n, caller: undefined });
    comeBack(pair.relay, "client", pair.splice.id);
    expect(stream()).toMatchObject({ wait: Wait.UNSPECIFIED, client: { leg: LegState.ATTACHED, legMs: 0n } });
    pair.client.forgetLastWord();
    look();
    expect(stream()?.client).toMatchObject({ windowLeftBytes: undefined, windowBytes: undefined });
  });

  test("tells a client that waits for a listener to accept from one that waits for a listener to come", () => {
    const pair = offeredStream();
    const { look, stream } = surveyOf(pair);
    look(3);
    expect(stream()).toMatchObject({ wait: Wait.ACCEPT, waitsFor: Side.LISTENER, waitMs: 3_000n });
    pair.relay.connect("nobody", { metadata: {} }, 60_000);
    pair.clock.advance(1);
    const { streams, names } = surveyOf(pair).show();
    expect(streams?.map(({ name, wait }) => [name, wait])).toEqual([
      ["room", Wait.ACCEPT],
      ["nobody", Wait.LISTEN],
    ]);
    expect(names).toMatchObject([{ name: "room", offers: 1, suspended: false }]);
  });

  test("puts the longest wait first, then the busiest stream, and the name at which most clients wait", () => {
    const test = resumableStream();
    const { look, show } = surveyOf(test);
    const names = ["quiet", "busy", "late", "early", "none", "one", "two"];
    const lease = new Map(names.map((name) => [name, test.relay.listen(name, false).lease]));
    const accepted = (name: string) => {
      const splice = connect(test.relay, name);
      attach(splice.client, test.relay.accept(splice.id, test.relay.offerToken(splice), undefined));
      return splice;
    };
    for (const name of ["one", "two", "two"]) connect(test.relay, name);
    test.clock.advance(5_000);
    accepted("quiet");
    accepted("busy").client.put(relayed(dataFrame(1, bytes(100))));
    connect(test.relay, "early");
    look();
    connect(test.relay, "late");
    test.clock.advance(1);
    const shown = show().streams?.map(({ name }) => name);
    expect(shown).toEqual(["one", "two", "two", "early", "late", "busy", "room", "quiet"]);
    expect(show({ maxNames: 1 }).names).toMatchObject([{ name: "two", leaseId: lease.get("two")?.id, offers: 2 }]);
  });

  test("cuts its lists at what was asked for, and at the most there may be", () => {
    const test = newRelay();
    for (let at = 0; at <= maxReports; at += 1) {
      test.relay.listen(`room/${at}`, false);
      connect(test.relay, `room/${at}`);
    }
    const { show } = surveyOf(test);
    const sizes = (request: object) => [show(request).names?.length, show(request).streams?.length];
    expect(sizes({})).toEqual([100, 100]);
    expect(sizes({ maxNames: 2, maxStreams: 5_000 })).toEqual([2, maxReports]);
    expect(sizes({ namePrefix: "room/99" })).toEqual([11, 11]);
  });

  test("tells how many bytes wait to be read, and how many calls of the gateway are under way", () => {
    const test = newRelay();
    const { show } = surveyOf(test);
    const { admission } = test.relay;
    const holder = { caller: someCaller, heldBytes: 2_048, passedBytes: 0, endHeld() {} };
    const stopHolding = admission.heldBytes.add(holder);
    const hold = admission.hold(someCaller, { kind: "gateway call" });
    expect(show().totals).toMatchObject({ heldBytes: 2_048n, gatewayCalls: 1 });
    stopHolding();
    hold.release();
    expect(show().totals).toMatchObject({ heldBytes: 0n, gatewayCalls: 0 });
  });

  test("counts refusals by call and reason, with the last one of each, and cuts what strangers say", () => {
    const test = newRelay();
    const { look, show } = surveyOf(test);
    const refuse = (name: string, failure: Failure) =>
      test.relay.refused(new StreamError("no", { failure }), { call: "connect", caller: someCaller, name });
    refuse("b", Failure.NAME_INVALID);
    refuse("a", Failure.NO_SUCH_NAME);
    refuse(`${"x".repeat(255)}😀`, Failure.NO_SUCH_NAME);
    look();
    expect(show()).toMatchObject({
      totals: { refusals: 3n, refusalsPerSecond: 3 },
      refusals: [
        { call: "connect", reason: "NO_SUCH_NAME", count: 2n, lastMs: 1_000n, lastName: `${"x".repeat(255)}\ufffd` },
        { call: "connect", reason: "NAME_INVALID", count: 1n, lastCaller: { address: "192.0.2.1", door: "http" } },
      ],
    });
    look();
    expect(show().totals).toMatchObject({ refusals: 3n, refusalsPerSecond: 0 });
  });
});
