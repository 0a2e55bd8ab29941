import { fromBinary } from "@bufbuild/protobuf";
import { type Caller, type Capabilities, ConnectRequestSchema } from "../../gen/streamserver/v1/relay_pb.js";
import { dataOf } from "../../leg/envelope.js";
import { frameEnvelope } from "../../leg/frame-envelope.js";
import { readFrameHead } from "../../leg/frame-head.js";
import type { Parts } from "../../leg/parts.js";
import { frameFromWire } from "../../leg/wire-frame.js";
import type { Half, LegPort } from "../../server/relay/half.js";
import type { Lease } from "../../server/relay/lease.js";
import { defaultLimits, type RelayLimits } from "../../server/relay/limits.js";
import type { ListenEvent } from "../../server/relay/listen-call.js";
import type { OfferFacts } from "../../server/relay/offer.js";
import { Relay } from "../../server/relay/relay.js";
import type { RelayedFrame } from "../../server/relay/relayed-frame.js";
import type { Splice } from "../../server/relay/splice.js";
import { TokenSigner } from "../../server/relay/token.js";
import { type RelayWarning, Warnings } from "../../server/relay/warnings.js";
import { callerFrom } from "../../server/rpc/caller.js";
import type { Frame } from "../../stream/endpoint/frame.js";
import type { StreamError } from "../../stream/error/stream-error.js";
import { FakeClock } from "./fake-clock.js";

export interface TestRelay {
  relay: Relay;
  /** The warnings that the operator has been told. */
  told: RelayWarning[];
  clock: FakeClock;
}

/** A relay without sockets, on a clock of the test's. */
export function newRelay(limits: Partial<RelayLimits> = {}, signer = new TokenSigner()): TestRelay {
  const clock = new FakeClock();
  const told: RelayWarning[] = [];
  const warnings = new Warnings(clock, (warning) => told.push(warning));
  const relay = new Relay({ limits: { ...defaultLimits, ...limits }, clock, signer, warnings });
  return { relay, told, clock };
}

/** A caller whose request has no Origin header. */
export const someCaller: Caller = callerFrom(undefined);

/** The facts about a client that has told nothing of itself. */
export const noFacts: OfferFacts = { metadata: {} };

export function connect(relay: Relay, name = "room", metadata: Record<string, string> = {}): Splice {
  return relay.connect(name, { ...noFacts, metadata }).splice;
}

export interface Paired extends TestRelay {
  lease: Lease;
  splice: Splice;
  client: Half;
  listener: Half;
}

/** A stream whose offer waits at its listener. */
export function offeredStream(limits: Partial<RelayLimits> = {}): Paired {
  const test = newRelay(limits);
  const { lease } = test.relay.listen("room", false);
  const splice = connect(test.relay);
  return { ...test, lease, splice, client: splice.client, listener: splice.listener };
}

/** A stream that was accepted. */
export function splicedStream(limits: Partial<RelayLimits> = {}): Paired {
  const offered = offeredStream(limits);
  offered.relay.accept(offered.splice.id, offered.relay.offerToken(offered.splice), undefined);
  return offered;
}

/** A frame as the relay passes it on. */
export function relayed(frame: Frame): RelayedFrame {
  const envelope = frameEnvelope(frame);
  const head = readFrameHead(envelope);
  if (head === undefined) throw new Error("no frame");
  return { ...head, envelope };
}

/** An endpoint that hears what comes on its leg, as long as it has room, and how the leg ends. */
export class Listening implements LegPort {
  readonly frames: Frame[] = [];
  readonly envelopes: Parts[] = [];
  readonly heard: ("accepted" | "frame")[] = [];
  capabilities: Capabilities | undefined;
  goneOn = 0;
  end: "open" | "well" | StreamError = "open";
  readonly #leg: Half;
  readonly #roomFrames: number;

  /** Takes `roomFrames` frames before each call of `drain`. */
  constructor(leg: Half, roomFrames = Number.POSITIVE_INFINITY) {
    this.#leg = leg;
    this.#roomFrames = roomFrames;
    leg.attach(this);
  }

  get accepted(): number {
    return this.heard.filter((event) => event === "accepted").length;
  }

  drain(): void {
    this.#leg.drained();
  }

  sendAccepted(capabilities: Capabilities | undefined): void {
    this.heard.push("accepted");
    this.capabilities = capabilities;
  }

  sendFrame({ envelope }: RelayedFrame): boolean {
    const { message } = fromBinary(ConnectRequestSchema, dataOf(envelope));
    if (message.case !== "frame") throw new Error("no frame");
    this.heard.push("frame");
    this.envelopes.push(envelope);
    this.frames.push(frameFromWire(message.value));
    return this.frames.length % this.#roomFrames !== 0;
  }

  goOn(): void {
    this.goneOn += 1;
  }

  finish(error: StreamError | undefined): void {
    this.end = error ?? "well";
  }
}

/** Returns a list to which every event of the call that a lease has now is added as it comes. */
export function leaseEvents({ call }: Lease): ListenEvent[] {
  const events: ListenEvent[] = [];
  void (async () => {
    for await (const event of call?.events() ?? []) events.push(event);
  })().catch(() => {});
  return events;
}
