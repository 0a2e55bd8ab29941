import { create, fromBinary } from "@bufbuild/protobuf";
import { Failure } from "../../gen/streamserver/v1/failure_pb.js";
import {
  type Capabilities,
  CapabilitiesSchema,
  ConnectRequestSchema,
  Feature,
} from "../../gen/streamserver/v1/relay_pb.js";
import { dataOf } from "../../leg/envelope.js";
import { frameEnvelope } from "../../leg/frame-envelope.js";
import { readFrameHead } from "../../leg/frame-head.js";
import type { Parts } from "../../leg/parts.js";
import { frameFromWire } from "../../leg/wire-frame.js";
import { Admission } from "../../server/admission/admission.js";
import type { Caller } from "../../server/admission/caller.js";
import { defaultLimits, type RelayLimits } from "../../server/admission/limits.js";
import type { Authorize } from "../../server/admission/policy/authorize.js";
import { type RelayWarning, Warnings } from "../../server/admission/warnings.js";
import type { Lease } from "../../server/relay/lease/lease.js";
import type { ListenEvent } from "../../server/relay/lease/listen-call.js";
import type { OfferFacts } from "../../server/relay/lease/offer.js";
import { Relay } from "../../server/relay/relay.js";
import type { Half, Role } from "../../server/relay/stream/half.js";
import type { LegPort, Resumption } from "../../server/relay/stream/leg-port.js";
import type { RelayedFrame } from "../../server/relay/stream/relayed-frame.js";
import type { Splice } from "../../server/relay/stream/splice.js";
import { TokenSigner } from "../../server/relay/token.js";
import type { Frame } from "../../stream/endpoint/frame.js";
import { StreamError } from "../../stream/error/stream-error.js";
import { FakeClock } from "./fake-clock.js";

export interface TestRelay {
  relay: Relay;
  /** The warnings that the operator has been told. */
  told: RelayWarning[];
  clock: FakeClock;
}

/** A relay without sockets, on a clock of the test's. */
export function newRelay(
  limits: Partial<RelayLimits> = {},
  signer = new TokenSigner(),
  authorize?: Authorize,
): TestRelay {
  const clock = new FakeClock();
  const told: RelayWarning[] = [];
  const warnings = new Warnings(clock, (warning) => told.push(warning));
  const init = { limits: { ...defaultLimits, ...limits }, clock, warnings };
  const relay = new Relay({ ...init, signer, admission: new Admission({ ...init, authorize }) });
  return { relay, told, clock };
}

/** A caller whose request has no Origin header. */
export const someCaller: Caller = { origin: "", address: "192.0.2.1", door: "http" };

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

/** The capabilities of an endpoint that resumes. */
export const resumes: Capabilities = create(CapabilitiesSchema, {
  features: [Feature.RESUME, Feature.CREDIT, Feature.ACK],
});

/** A stream whose client resumes, and whose offer waits at its listener. */
export function resumableOffer(limits: Partial<RelayLimits> = {}, signer?: TokenSigner): Paired {
  const test = newRelay(limits, signer);
  const { lease } = test.relay.listen("room", false);
  const { splice } = test.relay.connect("room", { ...noFacts, capabilities: resumes });
  return { ...test, lease, splice, client: splice.client, listener: splice.listener };
}

/** A stream that was accepted, with endpoints that both resume. */
export function resumableStream(limits: Partial<RelayLimits> = {}, signer?: TokenSigner): Paired {
  const offered = resumableOffer(limits, signer);
  offered.relay.accept(offered.splice.id, offered.relay.offerToken(offered.splice), resumes);
  return offered;
}

export interface ComingBack extends Partial<Omit<Resumption, "knowsAccepted">> {
  /** Default: the token of the relay at which the endpoint attaches. */
  legToken?: string;
  /** The name that a client says again as long as it has not been accepted. */
  name?: string;
}

/** Attaches an endpoint again, as an `Open` that resumes does. Throws where the relay refuses it. */
export function comeBack(
  relay: Relay,
  role: Role,
  streamId: string,
  { generation = 1, receivedSequence = 0, legToken = relay.legToken(role, streamId), name = "" }: ComingBack = {},
): Listening {
  const open = { streamId, legToken, name, capabilities: resumes, waitForListenerMs: 0, resume: { generation } };
  const half = relay.resume(role, open, { ...noFacts, capabilities: resumes });
  const knowsAccepted = role === "listener" || name === "";
  return new Listening(half, undefined, { generation, receivedSequence, knowsAccepted });
}

/** The error of a call that broke. */
export function callBroke(): StreamError {
  return new StreamError("the call broke", { failure: Failure.LEG_LOST });
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
  readonly caller = someCaller;
  readonly frames: Frame[] = [];
  readonly envelopes: Parts[] = [];
  readonly heard: string[] = [];
  capabilities: Capabilities | undefined;
  goneOn = 0;
  /** Whether there is room for more after news of the peer. */
  hasRoomForNews = true;
  end: "open" | "well" | StreamError = "open";
  readonly half: Half;
  readonly #roomFrames: number;

  /** Takes `roomFrames` frames before each call of `drain`. */
  constructor(half: Half, roomFrames = Number.POSITIVE_INFINITY, resumption?: Resumption) {
    this.half = half;
    this.#roomFrames = roomFrames;
    half.attach(this, resumption);
  }

  get accepted(): number {
    return this.heard.filter((event) => event === "accepted").length;
  }

  drain(): void {
    this.half.drained();
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

  sendSuspended(graceMs: number): boolean {
    this.heard.push(`suspended ${graceMs}`);
    return this.hasRoomForNews;
  }

  sendResumed(receivedSequence: number): boolean {
    this.heard.push(`resumed ${receivedSequence}`);
    return this.hasRoomForNews;
  }

  sendDraining(graceMs: number): void {
    this.heard.push(`draining ${graceMs}`);
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
