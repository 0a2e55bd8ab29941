import { create, type MessageInitShape } from "@bufbuild/protobuf";
import { Code, createRouterTransport } from "@connectrpc/connect";
import { beforeEach, expect, test } from "vitest";
import { Failure, Hop } from "../../../../gen/streamserver/v1/failure_pb.js";
import {
  CapabilitiesSchema,
  type ConnectRequest,
  type ConnectResponseSchema,
  OpenedSchema,
  RelayService,
} from "../../../../gen/streamserver/v1/relay_pb.js";
import type { LegCall, LegCallHandlers } from "../../../../leg/leg-call.js";
import { rawCodec } from "../../../../stream/codec.js";
import { type Capabilities, capabilitiesToWire } from "../../../../stream/endpoint/capabilities.js";
import type { Frame } from "../../../../stream/endpoint/frame.js";
import { StreamError } from "../../../../stream/error/stream-error.js";
import { Condition } from "../../../../stream/platform/deferred.js";
import { Fifo } from "../../../../stream/platform/fifo.js";
import { Stream } from "../../../../stream/stream.js";
import { StreamLife } from "../../../../stream/stream-life.js";
import { attach } from "../../../../web/api/attacher.js";
import { setTransportFacts } from "../../../../web/transport/transport-facts.js";
import { FakeClock } from "../../../fakes/fake-clock.js";
import { dataFrame, frame } from "../../../fakes/frames.js";
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
let life: StreamLife;
/** The messages of the leg that have reached the relay. */
let heard: ConnectRequest["message"][];
let driving: Promise<void>;
let isCancelled: boolean;
let say: (...responses: Response[]) => Promise<void>;

/** A leg whose relay says what the test does, and ends its call for nothing but being told to. */
beforeEach(async () => {
  clock = new FakeClock();
  life = new StreamLife({});
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
  driving = attach({ life, transport: async () => transport, method: "connect", open: { name: "name" }, clock });
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
  expect(life.endpoint.state.kind).toBe("open");
  clock.advance(1);
  expect(errorOf(life.endpoint)).toMatchObject({ failure: Failure.LEG_LOST, hop: Hop.RELAY });
  await driving;
  expect(isCancelled).toBe(true);
  expect(clock.timers).toBe(0);
});

test("a relay that has answered may take its time", async () => {
  await say(opened);
  expect(clock.timers).toBe(0);
  clock.advance(attachTimeoutMs);
  expect(life.endpoint.state.kind).toBe("open");
});

test("the call of a stream that was finished is cancelled if the relay does not end it", async () => {
  await say(opened, accepted, { case: "frame", value: { sequence: 1n, fin: true } });
  life.endpoint.finish();
  await settled();
  expect(life.endpoint.state.kind).toBe("closed");
  expect(heard.at(-1)?.value).toMatchObject({ fin: true });
  await isCancelledAfter(finishTimeoutMs);
});

test("a reset has a moment to get out before its call is cancelled", async () => {
  await say(opened, accepted);
  life.endpoint.reset(new StreamError("enough"));
  await settled();
  expect(heard.at(-1)?.value).toMatchObject({ reset: { reason: "enough" } });
  expect(await promiseState(driving)).toBe("pending");
  await isCancelledAfter(resetTimeoutMs);
});

test("a reset of what is still an offer is told by hanging up at once", async () => {
  await say(opened);
  life.endpoint.reset(new StreamError("enough"));
  await driving;
  expect(isCancelled).toBe(true);
  expect(life.endpoint.state.kind).toBe("failed");
  expect(clock.timers).toBe(0);
});

/** A call that the test answers, and that writes down what it is told. */
class CallInHand implements LegCall {
  readonly told: string[] = [];
  readonly handlers: LegCallHandlers;
  /** Whether another frame may follow each. */
  hasRoom = true;

  constructor(handlers: LegCallHandlers) {
    this.handlers = handlers;
  }

  send(frame: Frame): boolean {
    const said = frame.messages.map(({ data }) => data.byteLength).join();
    this.told.push(frame.fin ? "fin" : frame.reset ? "reset" : said || "ack");
    return this.hasRoom;
  }

  end(): void {
    this.told.push("end");
  }

  pause(): void {
    this.told.push("pause");
  }

  resume(): void {
    this.told.push("resume");
  }

  cancel(): void {
    this.told.push("cancel");
    this.handlers.onEnd(new StreamError("cancelled"));
  }
}

/** A leg whose call is in the test's hand, and whose peer is capable of this. */
async function drivenByHand(peer: Capabilities) {
  const handLife = new StreamLife({ windowBytes: 65_536 });
  let call: CallInHand | undefined;
  const transport = createRouterTransport(() => {});
  setTransportFacts(transport, {
    kind: () => "native",
    callLeg: (_method, _open, handlers) => {
      call = new CallInHand(handlers);
      return call;
    },
  });
  void attach({ life: handLife, transport: async () => transport, method: "connect", open: {}, clock });
  await settled();
  if (call === undefined) throw new Error("the driver made no call");
  call.handlers.onOpened(create(OpenedSchema, { streamId: "id" }));
  call.handlers.onAccepted(create(CapabilitiesSchema, capabilitiesToWire(peer)));
  await settled();
  // The call is paused until the application has heard that the leg is accepted.
  expect(call.told.splice(0)).toEqual(["pause", "resume"]);
  return { call, life: handLife };
}

const able = { credit: true, ack: true, resume: false, maxMessageBytes: 16_777_216 };
const simple = { credit: false, ack: false, resume: false, maxMessageBytes: 16_777_216 };
const data = new Uint8Array(40_000);

test("a leg takes frames as they come from a peer with credit, and at the reader's pace from one without", async () => {
  const { call, life } = await drivenByHand(simple);
  call.handlers.onFrame(dataFrame(1, { data }));
  expect(call.told).toEqual([]);
  call.handlers.onFrame(dataFrame(2, { data }));
  expect(call.told).toEqual(["pause"]);
  life.endpoint.read();
  expect(call.told).toEqual(["pause", "resume"]);
  const capable = await drivenByHand(able);
  capable.call.handlers.onFrame(dataFrame(1, { data }));
  capable.call.handlers.onFrame(dataFrame(2, { data: new Uint8Array(20_000) }));
  expect(capable.call.told).toEqual([]);
});

test.each(["pulled", "flowing"] as const)(
  "messages of a peer without credit that come as soon as there is room arrive in order, all of them, %s",
  async (how) => {
    const { call, life } = await drivenByHand(simple);
    const stream = new Stream(life, { codec: rawCodec, metadata: {} });
    const frames = [1, 2, 3, 4, 5, 6].map((sequence) =>
      dataFrame(sequence, { data: new Uint8Array(40_000).fill(sequence) }),
    );
    frames.push(frame({ sequence: 7n, fin: true }));
    let isPaused = false;
    call.pause = () => {
      isPaused = true;
    };
    call.resume = () => {
      isPaused = false;
      while (!isPaused) {
        const next = frames.shift();
        if (next === undefined) return;
        call.handlers.onFrame(next);
      }
    };
    call.resume();
    const read: unknown[] = [];
    const note = (message: unknown) => void read.push((message as Uint8Array)[0]);
    if (how === "flowing") stream.on("data", note);
    else for await (const message of stream) note(message);
    await settled();
    expect(read).toEqual([1, 2, 3, 4, 5, 6]);
  },
);

test("a call that is paused for room is let go when the stream ends", async () => {
  const { call, life } = await drivenByHand(simple);
  call.handlers.onFrame(dataFrame(1, { data }, { data }));
  expect(call.told).toEqual(["pause"]);
  life.fail(new StreamError("gone"));
  expect(call.told).toEqual(["pause", "resume"]);
});

test("attach takes the next frame only when the call can send it, with all that was written meanwhile", async () => {
  const { call, life } = await drivenByHand(able);
  call.hasRoom = false;
  life.endpoint.write({ data: new Uint8Array(1), text: false });
  await settled();
  for (const length of [2, 3]) {
    life.endpoint.write({ data: new Uint8Array(length), text: false });
    await settled();
  }
  expect(call.told).toEqual(["1"]);
  call.handlers.onDrain();
  expect(call.told).toEqual(["1", "2,3"]);
  call.handlers.onDrain();
  life.endpoint.write({ data: new Uint8Array(4), text: false });
  life.endpoint.write({ data: new Uint8Array(5), text: false });
  await settled();
  expect(call.told).toEqual(["1", "2,3", "4,5"]);
});

test("attach ends the request after the last frame of a stream that is over, once", async () => {
  const closing = await drivenByHand(able);
  closing.life.endpoint.finish();
  await settled();
  closing.call.handlers.onFrame(frame({ sequence: 1n, fin: true, ack: 1n }));
  await settled();
  closing.call.handlers.onDrain();
  expect(closing.call.told).toEqual(["fin", "ack", "end"]);
  const resetting = await drivenByHand(able);
  resetting.life.endpoint.reset(new StreamError("enough"));
  await settled();
  resetting.call.handlers.onDrain();
  expect(resetting.call.told).toEqual(["reset", "end"]);
});

test("a call that ends before both sides have finished is a lost leg of a stream that cannot be resumed", async () => {
  const { call, life } = await drivenByHand(able);
  call.handlers.onEnd(undefined);
  expect(errorOf(life.endpoint)).toMatchObject({ failure: Failure.LEG_LOST, hop: Hop.PEER });
});

test("attach resets a stream whose data was transferred away, as a mistake of the caller's own", async () => {
  const { call, life } = await drivenByHand(able);
  call.handlers.onTransferredAway();
  await settled();
  expect(errorOf(life.endpoint)).toMatchObject({ code: Code.InvalidArgument, hop: Hop.CALLER });
  expect(call.told).toEqual(["reset", "end"]);
});

test("attach acknowledges a frame at once, and then at most 25 ms late with as few acks", async () => {
  const { call, life } = await drivenByHand(able);
  const others = clock.timers;
  const told = async (passedMs: number) => {
    clock.advance(passedMs);
    await settled();
    return call.told.splice(0);
  };
  call.handlers.onFrame(dataFrame(1, { text: true }));
  expect(await told(0)).toEqual(["ack"]);
  call.handlers.onFrame(dataFrame(2, { text: true }));
  call.handlers.onFrame(dataFrame(3, { text: true }));
  expect(clock.timers).toBe(others + 1);
  expect(await told(24)).toEqual([]);
  expect(await told(1)).toEqual(["ack"]);
  expect(clock.timers).toBe(others);
  clock.advance(24);
  call.handlers.onFrame(dataFrame(4, { text: true }));
  life.endpoint.write({ data: new Uint8Array(7), text: false });
  expect(await told(25)).toEqual(["7"]);
});
