import { create, type MessageInitShape } from "@bufbuild/protobuf";
import { Code, createRouterTransport, type Transport } from "@connectrpc/connect";
import { beforeEach, describe, expect, test } from "vitest";
import { Failure, Hop } from "../../../../gen/streamserver/v1/failure_pb.js";
import {
  CapabilitiesSchema,
  Feature,
  OpenedSchema,
  type RejectRequest,
  RelayService,
} from "../../../../gen/streamserver/v1/relay_pb.js";
import type { LegCall, LegCallHandlers, Open } from "../../../../leg/leg-call.js";
import { rawCodec } from "../../../../stream/codec.js";
import { transferredAwayError } from "../../../../stream/endpoint/bytes.js";
import { capabilitiesToWire } from "../../../../stream/endpoint/capabilities.js";
import type { Frame } from "../../../../stream/endpoint/frame.js";
import { relayLostError } from "../../../../stream/error/failure-detail.js";
import { StreamError } from "../../../../stream/error/stream-error.js";
import { Stream } from "../../../../stream/stream.js";
import { StreamLife } from "../../../../stream/stream-life.js";
import type { AccessToken } from "../../../../web/api/access-token.js";
import { attach } from "../../../../web/api/attacher.js";
import { setTransportFacts, transportFactsOf } from "../../../../web/transport/transport-facts.js";
import { wayBackOf } from "../../../../web/transport/way-back.js";
import { FakeClock } from "../../../fakes/fake-clock.js";
import { dataFrame, frame } from "../../../fakes/frames.js";
import { rejection, settled } from "../../../fakes/outcome.js";

const graceMs = 60_000;
/** The longest wait before an attempt, which is random. */
const maxBackoffMs = 5_000;
const able = { credit: true, ack: true, resume: true, maxMessageBytes: 16_777_216 };

/** A call of a leg that the test answers. */
class CallInHand implements LegCall {
  readonly open: Open;
  readonly handlers: LegCallHandlers;
  readonly frames: Frame[] = [];
  isEnded = false;
  isCancelled = false;

  constructor(open: Open, handlers: LegCallHandlers) {
    this.open = open;
    this.handlers = handlers;
  }

  send(sent: Frame): boolean {
    this.frames.push(sent);
    return true;
  }

  end(): void {
    this.isEnded = true;
  }

  pause(): void {}

  resume(): void {}

  cancel(): void {
    this.isCancelled = true;
  }

  opened(legToken = "token", features = [Feature.RESUME]): void {
    const init: MessageInitShape<typeof OpenedSchema> = { streamId: "id", legToken, limits: { features, graceMs } };
    this.handlers.onOpened(create(OpenedSchema, init));
  }

  accepted(): void {
    this.handlers.onAccepted(create(CapabilitiesSchema, capabilitiesToWire(able)));
  }

  breaks(): void {
    this.handlers.onEnd(relayLostError("the connection broke"));
  }
}

let clock: FakeClock;
let calls: CallInHand[];
let rejects: RejectRequest[];
let answersReject: boolean;
let moves: number;
let doubts: number;
let transport: Transport;

beforeEach(() => {
  clock = new FakeClock();
  calls = [];
  rejects = [];
  answersReject = true;
  moves = 0;
  doubts = 0;
  transport = createRouterTransport(({ rpc }) => {
    rpc(RelayService.method.reject, (request) => {
      if (!answersReject) throw relayLostError("the relay is away");
      rejects.push(request);
      return {};
    });
  });
  setTransportFacts(transport, {
    kind: () => "websocket",
    moveOn: () => {
      moves += 1;
    },
    doubt: () => {
      doubts += 1;
    },
    callLeg: (_method, open, handlers) => {
      const call = new CallInHand(open, handlers);
      calls.push(call);
      return call;
    },
  });
});

/** The call that was made last. */
function call(): CallInHand {
  const last = calls.at(-1);
  if (last === undefined) throw new Error("no call was made");
  return last;
}

/** A client's stream at a relay that resumes streams. */
async function connected(how: "opened" | "accepted" = "accepted", token?: AccessToken) {
  const life = new StreamLife({ resume: true });
  const stream = new Stream(life, { codec: rawCodec, metadata: {} });
  const events: unknown[] = [];
  stream.on("suspended", (suspension) => events.push(suspension));
  stream.on("resumed", () => events.push("resumed"));
  stream.on("error", (error) => events.push(error));
  const open = { name: "name" };
  const over = attach({ life, transport: async () => transport, method: "connect", open, token, clock });
  await settled();
  call().opened();
  if (how === "accepted") call().accepted();
  await settled();
  return { stream, endpoint: life.endpoint, events, over };
}

/** Lets the longest wait before an attempt pass. */
async function attempts(): Promise<void> {
  const made = calls.length;
  // An attempt that gets no answer is given up sooner than the longest wait is over.
  for (let waitedMs = 0; calls.length === made && waitedMs < maxBackoffMs; waitedMs += 100) {
    clock.advance(100);
    await settled();
  }
  expect(calls.length).toBe(made + 1);
}

/** The numbers of the frames with data. */
const numbers = ({ frames }: CallInHand) => frames.map(({ sequence }) => sequence).filter((sequence) => sequence > 0);

describe("Attacher, when a leg breaks", () => {
  test("attaches the endpoint again, and both sides go on from what they have", async () => {
    const { stream, events } = await connected();
    stream.write("one");
    await settled();
    call().handlers.onFrame(dataFrame(1, { data: new Uint8Array(1) }));
    await settled();
    stream.write("two");
    await settled();
    expect(numbers(call())).toEqual([1, 2]);
    call().breaks();
    await settled();
    expect(stream.state).toBe("suspended");
    expect(events).toEqual([{ hop: Hop.RELAY, graceMs }]);
    stream.write("three");
    await attempts();
    expect(call().open).toMatchObject({ streamId: "id", legToken: "token" });
    expect(call().open.resume).toEqual({ receivedSequence: 1n, generation: 1 });
    expect(call().open.name).toBeUndefined();
    call().opened("newer token");
    await settled();
    expect(call().frames).toEqual([]);
    expect(stream.state).toBe("suspended");
    call().handlers.onResumed(1);
    await settled();
    expect(numbers(call())).toEqual([2, 3]);
    expect(stream.state).toBe("open");
    expect(events.at(-1)).toBe("resumed");
    call().breaks();
    await attempts();
    expect(call().open).toMatchObject({ legToken: "newer token", resume: { generation: 2 } });
    expect(events).toEqual([{ hop: Hop.RELAY, graceMs }, "resumed", { hop: Hop.RELAY, graceMs }]);
  });

  test("drops frames that were on their way to the old leg, until the one that it lacks has come", async () => {
    const { endpoint } = await connected();
    call().breaks();
    await attempts();
    call().opened();
    call().handlers.onResumed(0);
    for (const sequence of [2, 1, 2]) call().handlers.onFrame(dataFrame(sequence, { data: Uint8Array.of(sequence) }));
    expect(endpoint.state.kind).toBe("open");
    expect([endpoint.read()?.data[0], endpoint.read()?.data[0], endpoint.read()]).toEqual([1, 2, undefined]);
  });

  test("tries again until the grace period is over, and then fails the stream with its account", async () => {
    const { stream, over } = await connected();
    stream.write("one");
    await settled();
    call().handlers.onFrame(frame({ ack: 1n }));
    stream.write("two");
    await settled();
    const startMs = clock.now();
    call().breaks();
    while (clock.now() - startMs < graceMs - 2 * maxBackoffMs) {
      await attempts();
      call().breaks();
      await settled();
    }
    const generations = calls.slice(1).map(({ open }) => open.resume?.generation);
    expect(generations).toEqual(generations.map((_, at) => at + 1));
    expect(stream.state).toBe("suspended");
    clock.advance(startMs + graceMs - clock.now());
    await over;
    const delivery = { messages: 1, isFinal: false };
    await expect(stream.closed).rejects.toMatchObject({ failure: Failure.LEG_LOST, hop: Hop.RELAY, delivery });
    expect(stream.state).toBe("failed");
    expect(clock.timers).toBe(0);
  });

  test("makes one more attempt when a machine wakes that slept through the end of the grace period", async () => {
    const { stream } = await connected();
    call().breaks();
    clock.sleep(graceMs + 10_000);
    await settled();
    expect(stream.state).toBe("suspended");
    call().opened();
    call().handlers.onResumed(0);
    await settled();
    expect(stream.state).toBe("open");
    expect(clock.timers).toBe(0);
  });

  test("says the name again for a client that was not accepted, which may be accepted then, once", async () => {
    const { stream } = await connected("opened");
    let opens = 0;
    stream.on("open", () => (opens += 1));
    stream.write("early");
    await settled();
    call().breaks();
    await attempts();
    expect(call().open).toMatchObject({ name: "name", streamId: "id", resume: { generation: 1 } });
    call().opened();
    call().accepted();
    call().accepted();
    call().handlers.onResumed(0);
    await settled();
    expect([stream.state, opens]).toEqual(["open", 1]);
    expect(numbers(call())).toEqual([1]);
  });

  test("goes on to a listener that resumes no streams, if the client was back before that accepted", async () => {
    const { stream, events } = await connected("opened");
    stream.write("early");
    await settled();
    call().breaks();
    await attempts();
    call().opened();
    await settled();
    expect(stream.state).toBe("opening");
    call().handlers.onAccepted(create(CapabilitiesSchema, { features: [Feature.CREDIT, Feature.ACK] }));
    call().handlers.onResumed(0);
    await settled();
    expect(stream.state).toBe("open");
    expect(numbers(call())).toEqual([1]);
    expect(events).toEqual([{ hop: Hop.RELAY, graceMs }, "resumed"]);
  });

  test("takes an end without an error that comes too early for a break, and hears how the stream ended", async () => {
    const { stream, over } = await connected();
    stream.end("all");
    call().handlers.onFrame(frame({ sequence: 1n, fin: true }));
    stream.resume();
    await settled();
    call().handlers.onEnd(undefined);
    await settled();
    expect(stream.state).toBe("suspended");
    await attempts();
    call().handlers.onEnd(new StreamError("over", { failure: Failure.STREAM_GONE, receivedSequence: 1 }));
    await over;
    expect(stream.state).toBe("closed");
  });

  test("tries again at a relay that has no room, which ends the stream if it says so later", async () => {
    const full = new StreamError("no room", { failure: Failure.LIMIT_REACHED });
    const { stream, over } = await connected();
    call().breaks();
    await attempts();
    call().handlers.onEnd(full);
    await attempts();
    expect(stream.state).toBe("suspended");
    call().opened();
    call().handlers.onResumed(0);
    call().handlers.onEnd(full);
    await over;
    expect(await rejection(stream.closed)).toMatchObject({ failure: Failure.LIMIT_REACHED });
  });

  test.each([
    ["goes on", Hop.RELAY, "suspended"],
    ["fails", Hop.CALLER, "failed"],
  ] as const)("%s if the link below a leg failed at hop %i", async (_, hop, state) => {
    const { stream } = await connected();
    call().handlers.onEnd(new StreamError("too much", { failure: Failure.LIMIT_REACHED, hop }), true);
    await settled();
    expect(stream.state).toBe(state);
    stream.destroy();
  });

  test.each([
    ["the stream has ended", Failure.STREAM_GONE],
    ["the relay has another key", Failure.TOKEN_INVALID],
  ])("gives up at once when the relay says that %s", async (_, failure) => {
    const { stream, over } = await connected();
    stream.write("one");
    await settled();
    call().breaks();
    await attempts();
    call().handlers.onEnd(new StreamError("no", { failure, receivedSequence: 1 }));
    await over;
    const delivery = { messages: 1, isFinal: true };
    await expect(stream.closed).rejects.toMatchObject({ failure: Failure.LEG_LOST, hop: Hop.RELAY, delivery });
    expect(clock.timers).toBe(0);
  });

  test.each([
    ["the relay", [], [Feature.CREDIT, Feature.ACK, Feature.RESUME]],
    ["the peer", [Feature.RESUME], [Feature.CREDIT, Feature.ACK]],
  ])("fails the stream at once if %s does not resume", async (_, ofRelay, ofPeer) => {
    const life = new StreamLife({ resume: true });
    const over = attach({ life, transport: async () => transport, method: "connect", open: {}, clock });
    await settled();
    call().opened("token", ofRelay);
    call().handlers.onAccepted(create(CapabilitiesSchema, { features: ofPeer }));
    call().breaks();
    await over;
    expect(life.state).toBe("failed");
    expect(clock.timers).toBe(0);
  });

  test("goes on for a stream that is closed, so that the peer hears the last ack, until the relay ends the call", async () => {
    const { stream, events, over } = await connected();
    stream.end();
    stream.resume();
    await settled();
    call().handlers.onFrame(frame({ sequence: 1n, fin: true, ack: 1n }));
    await settled();
    expect(stream.state).toBe("closed");
    expect(call().isEnded).toBe(true);
    call().breaks();
    await attempts();
    expect(call().open.resume).toEqual({ receivedSequence: 1n, generation: 1 });
    call().opened();
    await settled();
    expect(call().isEnded).toBe(false);
    call().handlers.onResumed(1);
    await settled();
    expect(call().frames).toMatchObject([{ sequence: 1, fin: true, ack: 1 }]);
    expect(call().isEnded).toBe(true);
    call().handlers.onEnd(undefined);
    await over;
    expect(events).toEqual([]);
    expect(clock.timers).toBe(0);
  });
});

describe("Attacher, when the peer's leg breaks", () => {
  test("suspends the stream and sends nothing, until the peer is back and hears what it lacks", async () => {
    const { stream, events } = await connected();
    stream.write("one");
    await settled();
    call().handlers.onSuspended(graceMs);
    stream.write("two");
    await settled();
    expect(events).toEqual([{ hop: Hop.PEER, graceMs }]);
    expect(numbers(call())).toEqual([1]);
    call().handlers.onResumed(0);
    await settled();
    expect(numbers(call())).toEqual([1, 1, 2]);
    expect(events).toEqual([{ hop: Hop.PEER, graceMs }, "resumed"]);
  });

  test("tells the application once if this side's leg breaks as well", async () => {
    const { stream, events } = await connected();
    call().handlers.onSuspended(graceMs);
    call().breaks();
    await attempts();
    call().opened();
    call().handlers.onSuspended(graceMs);
    await settled();
    expect(stream.state).toBe("suspended");
    call().handlers.onResumed(0);
    await settled();
    expect(events).toEqual([{ hop: Hop.PEER, graceMs }, "resumed"]);
  });

  test("sends a reset nevertheless", async () => {
    const { stream } = await connected();
    call().handlers.onSuspended(graceMs);
    stream.destroy();
    await settled();
    expect(call().frames.at(-1)).toMatchObject({ reset: { code: Code.Canceled } });
  });
});

describe("Attacher, when its leg ends by a fault of this side's own", () => {
  test("tells the relay, which takes the call for a broken one", async () => {
    const { stream, over } = await connected();
    call().handlers.onEnd(transferredAwayError());
    await over;
    expect(await rejection(stream.closed)).toMatchObject({ code: Code.InvalidArgument });
    expect(rejects).toMatchObject([{ streamId: "id", legToken: "token", code: Code.InvalidArgument }]);
    expect(clock.timers).toBe(0);
  });
});

describe("Attacher, when the stream is destroyed", () => {
  test.each(["opened", "accepted"] as const)("overtakes frames that the relay does not read, %s", async (how) => {
    const { stream, over } = await connected(how);
    call().handlers.onFrame(dataFrame(1, { data: new Uint8Array(1) }));
    stream.destroy(new StreamError("enough", { code: Code.Aborted }));
    await settled();
    if (how === "accepted") {
      expect(rejects).toEqual([]);
      clock.advance(250);
    }
    await over;
    const told = { streamId: "id", legToken: "token", code: Code.Aborted, reason: "enough", receivedSequence: 1n };
    expect(rejects).toMatchObject([told]);
    expect(call().isCancelled).toBe(true);
    expect(clock.timers).toBe(0);
  });

  test("tells a relay that is away as soon as it is back, and within the grace period", async () => {
    const { stream, over } = await connected();
    answersReject = false;
    stream.destroy(new StreamError("enough", { code: Code.Aborted }));
    await settled();
    call().breaks();
    await settled();
    for (let tries = 0; tries < 3; tries += 1) {
      clock.advance(maxBackoffMs);
      await settled();
    }
    expect(rejects).toEqual([]);
    answersReject = true;
    clock.advance(maxBackoffMs);
    await over;
    expect(rejects).toMatchObject([{ streamId: "id", code: Code.Aborted }]);
    expect(clock.timers).toBe(0);
  });

  test("keeps neither the leg nor a process to tell a relay that is away, and gives up after the grace period", async () => {
    const { stream, over } = await connected();
    answersReject = false;
    stream.destroy();
    await settled();
    clock.advance(250);
    await settled();
    expect([call().isCancelled, clock.keepsAlive]).toEqual([true, false]);
    for (let waitedMs = 0; waitedMs < graceMs + maxBackoffMs; waitedMs += maxBackoffMs) {
      clock.advance(maxBackoffMs);
      await settled();
    }
    await over;
    expect(clock.timers).toBe(0);
  });

  test("says so when the relay has answered, and waits for the answer for 1 s", async () => {
    for (const isAnswered of [true, false]) {
      const life = new StreamLife({ resume: true });
      const over = attach({ life, transport: async () => transport, method: "connect", open: {}, clock });
      await settled();
      life.endpoint.reset(new StreamError("enough"));
      expect(call().isCancelled).toBe(false);
      if (isAnswered) call().opened();
      await settled();
      expect(call().frames.map(({ reset }) => reset?.reason)).toEqual(isAnswered ? ["enough"] : []);
      clock.advance(1_000);
      await over;
      expect(call().isCancelled).toBe(true);
      expect(clock.timers).toBe(0);
    }
  });

  test("tells the application nothing after that", async () => {
    const life = new StreamLife({ resume: true });
    const stream = new Stream(life, { codec: rawCodec, metadata: {} });
    const events: string[] = [];
    for (const event of ["transport", "open", "suspended", "resumed", "close"] as const) {
      stream.on(event, () => events.push(event));
    }
    void attach({ life, transport: async () => transport, method: "connect", open: {}, clock });
    await settled();
    stream.destroy();
    await settled();
    call().opened();
    call().accepted();
    await settled();
    expect(events).toEqual(["close"]);
    clock.advance(1_000);
    await settled();
    expect(clock.timers).toBe(0);
  });

  test("attaches at once to say so, if it has no leg, and keeps no process alive to try again", async () => {
    const { stream, over } = await connected();
    call().breaks();
    await attempts();
    call().breaks();
    await settled();
    expect(clock.keepsAlive).toBe(true);
    stream.destroy();
    await settled();
    expect(calls.length).toBe(3);
    call().breaks();
    await settled();
    expect(clock.keepsAlive).toBe(false);
    await attempts();
    call().opened();
    await settled();
    expect(call().frames).toMatchObject([{ reset: { code: Code.Canceled } }]);
    call().handlers.onEnd(undefined);
    await over;
    expect(clock.timers).toBe(0);
  });
});

describe("Attacher, when the relay drains", () => {
  test("attaches elsewhere while the old leg goes on, and then lets that go", async () => {
    const { stream, events } = await connected();
    const old = call();
    stream.write("one");
    await settled();
    old.handlers.onDraining(10_000);
    await settled();
    expect([calls.length, moves]).toEqual([2, 1]);
    expect(call().open.resume).toEqual({ receivedSequence: 0n, generation: 1 });
    stream.write("two");
    await settled();
    expect(numbers(old)).toEqual([1, 2]);
    call().breaks();
    await attempts();
    expect(stream.state).toBe("open");
    call().opened();
    expect(old.isCancelled).toBe(true);
    stream.write("three");
    await settled();
    expect(call().frames).toEqual([]);
    old.handlers.onFrame(dataFrame(1, { data: new Uint8Array(1) }));
    call().handlers.onResumed(1);
    await settled();
    expect(numbers(call())).toEqual([2, 3]);
    expect(events).toEqual([]);
    call().breaks();
    await attempts();
    expect(call().open.resume).toEqual({ receivedSequence: 0n, generation: 3 });
  });

  test("stays with the old leg where the new one is refused, until that ends", async () => {
    const { stream } = await connected();
    const old = call();
    old.handlers.onDraining(10_000);
    call().handlers.onEnd(new StreamError("another key", { failure: Failure.TOKEN_INVALID }));
    stream.write("one");
    await settled();
    clock.advance(maxBackoffMs);
    await settled();
    expect([stream.state, calls.length]).toEqual(["open", 2]);
    expect(numbers(old)).toEqual([1]);
    old.breaks();
    await attempts();
    expect(stream.state).toBe("suspended");
  });

  test("lets both legs go when the stream is over", async () => {
    const { stream, over } = await connected();
    call().handlers.onDraining(10_000);
    stream.destroy();
    await settled();
    clock.advance(250);
    await over;
    expect(calls.map(({ isCancelled }) => isCancelled)).toEqual([true, true]);
    expect(clock.timers).toBe(0);
  });

  test("takes the old leg's end for no loss while the new one attaches", async () => {
    const { stream } = await connected();
    const old = call();
    old.handlers.onDraining(10_000);
    old.handlers.onEnd(new StreamError("the relay is going away", { failure: Failure.DRAINING }));
    await settled();
    expect(calls.length).toBe(2);
    expect(stream.state).toBe("suspended");
    call().opened();
    call().handlers.onResumed(0);
    await settled();
    expect(stream.state).toBe("open");
    expect(clock.timers).toBe(0);
  });

  test("attaches over another connection when an attempt was refused", async () => {
    const { stream } = await connected();
    call().breaks();
    await attempts();
    call().handlers.onEnd(new StreamError("the relay is going away", { failure: Failure.DRAINING }));
    expect(moves).toBe(1);
    await attempts();
    expect(stream.state).toBe("suspended");
  });

  test("stays at a relay in this process, and ends with it", async () => {
    setTransportFacts(transport, { ...transportFactsOf(transport), isLocal: true });
    const { stream, over } = await connected();
    call().handlers.onDraining(10_000);
    expect([moves, calls.length]).toEqual([0, 1]);
    call().handlers.onEnd(new StreamError("the relay is going away", { failure: Failure.DRAINING }));
    await over;
    expect(await rejection(stream.closed)).toMatchObject({ failure: Failure.DRAINING });
    expect(clock.timers).toBe(0);
  });
});

describe("Attacher, when legs break as soon as they are attached", () => {
  /** The attempts of a minute, each of which gets through, and lives for so long. */
  async function attemptsOfAMinute(livesMs: number, onResumed: () => void = () => {}): Promise<number> {
    const untilMs = clock.now() + 60_000;
    const before = calls.length;
    for (let heard = before; clock.now() < untilMs; clock.advance(50)) {
      await settled();
      if (calls.length === heard) continue;
      heard = calls.length;
      call().opened();
      call().handlers.onResumed(0);
      onResumed();
      await settled();
      clock.advance(livesMs);
      call().breaks();
      await settled();
    }
    return calls.length - before;
  }

  test("makes an attempt in 2.5 s on average, though another call over the transport gets through", async () => {
    const { stream } = await connected();
    call().breaks();
    const stop = { now: () => {} };
    const other = () => {
      stop.now = wayBackOf(transport, clock).wait(0, other);
      wayBackOf(transport, clock).gotThrough();
    };
    other();
    expect(await attemptsOfAMinute(0)).toBeLessThan(60);
    expect(stream.state).toBe("suspended");
    stop.now();
  });

  test("attaches at once again after a leg that has lived, or has brought something", async () => {
    const { endpoint } = await connected();
    call().breaks();
    expect(await attemptsOfAMinute(1_000)).toBeGreaterThan(50);
    let sequence = 0;
    const bring = () => {
      sequence += 1;
      call().handlers.onFrame(dataFrame(sequence, { text: true }));
      endpoint.read();
    };
    expect(await attemptsOfAMinute(0, bring)).toBeGreaterThan(300);
  });
});

describe("Attacher, when an attempt gets no answer", () => {
  test("gives it up after 4 s, has its transport doubt the connection, and gives the next one twice as long", async () => {
    await connected();
    call().breaks();
    await attempts();
    const first = call();
    clock.advance(3_800);
    expect([first.isCancelled, doubts]).toEqual([false, 0]);
    clock.advance(300);
    expect([first.isCancelled, doubts]).toEqual([true, 1]);
    await attempts();
    const second = call();
    clock.advance(7_800);
    expect(second.isCancelled).toBe(false);
    clock.advance(300);
    expect(second.isCancelled).toBe(true);
  });
});

describe("Attacher, with a function for the access token", () => {
  const tokens = (...answers: (() => string | Promise<string>)[]) => {
    return () => answers.shift()?.() ?? Promise.reject(new Error("no other token"));
  };

  test("asks it again for each attachment, and attaches with the newest token where it fails", async () => {
    await connected(
      "accepted",
      tokens(
        () => "first",
        async () => "second",
      ),
    );
    expect(call().open.accessToken).toBe("first");
    call().breaks();
    await attempts();
    expect(call().open).toMatchObject({ accessToken: "second", legToken: "token" });
    call().opened();
    call().breaks();
    await attempts();
    expect(call().open).toMatchObject({ accessToken: "second", resume: { generation: 2 } });
  });

  test("asks it before it moves on from a relay that drains", async () => {
    const never = new Promise<string>(() => {});
    await connected(
      "accepted",
      tokens(
        () => "first",
        async () => "second",
        () => never,
      ),
    );
    call().handlers.onDraining(10_000);
    await settled();
    expect([calls.length, call().open.accessToken]).toEqual([2, "second"]);
  });

  test.each<[string, () => string | Promise<string>]>([
    ["throws", tokens()],
    ["gives no string", () => undefined as never],
    ["does not answer within 10 s", () => new Promise(() => {})],
  ])("fails with unauthenticated, and calls no relay, when it %s for the first one", async (_, token) => {
    const life = new StreamLife({ resume: true });
    const open = { name: "name" };
    const over = attach({ life, transport: async () => transport, method: "connect", open, token, clock });
    await settled();
    clock.advance(10_000);
    await over;
    const { state } = life.endpoint;
    expect(state).toMatchObject({ kind: "failed", error: { code: Code.Unauthenticated, hop: Hop.CALLER } });
    expect([calls.length, clock.timers]).toEqual([0, 0]);
  });
});
