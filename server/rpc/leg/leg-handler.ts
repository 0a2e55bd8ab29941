import { create, type MessageInitShape, toBinary } from "@bufbuild/protobuf";
import { Code } from "@connectrpc/connect";
import { Failure } from "../../../gen/streamserver/v1/failure_pb.js";
import {
  type Capabilities,
  type ConnectRequest,
  ConnectResponseSchema,
  type Open,
} from "../../../gen/streamserver/v1/relay_pb.js";
import { envelope } from "../../../leg/envelope.js";
import { EnvelopeReader } from "../../../leg/envelope-reader.js";
import { legOverheadBytes } from "../../../leg/leg-call.js";
import { Parts } from "../../../leg/parts.js";
import { StreamError } from "../../../stream/error/stream-error.js";
import type { Hold } from "../../admission/admission.js";
import type { Caller } from "../../admission/caller.js";
import type { Holder } from "../../admission/held-bytes.js";
import { exceededLimit } from "../../admission/limits.js";
import type { Admitted } from "../../admission/policy/authorize.js";
import type { LegRate } from "../../admission/rates/byte-rates.js";
import { answerTimeoutMs, closeTimeoutMs } from "../../http/open-responses.js";
import type { Relay } from "../../relay/relay.js";
import type { Half } from "../../relay/stream/half.js";
import type { LegPort } from "../../relay/stream/leg-port.js";
import type { RelayedFrame } from "../../relay/stream/relayed-frame.js";
import type { CallEnd } from "../caller.js";
import type { LegCarrier } from "./leg-carrier.js";
import { decodeRequest, frameOf, violationError } from "./leg-request.js";
import type { LegRpc } from "./leg-rpc.js";

/** A call may be aborted this long after the body of its request ended, because HTTP/2 tells the two in two events. */
const abortGraceMs = 100;

type LegHandlerState =
  /** The first message of the request has not come yet. */
  | { kind: "opening"; cancelDeadline: () => void }
  /** The caller waits to be let in. The rest of the request is not read meanwhile. */
  | { kind: "admitting"; request: "open" | "ended" }
  | { kind: "attached"; half: Half; request: "open" | "ended" }
  /** The body of the request ended early, or cannot be read. The abort of its call may follow, and tell why. */
  | { kind: "broken off"; half: Half; cancelDeadline: () => void }
  /** The response has ended, but its caller has not read it to the end yet. */
  | { kind: "ended" }
  | { kind: "closed" };

/**
 * Serves one leg on any carrier: a body of envelopes in, a body of envelopes out. The carrier hands in the events of
 * its call (`receive`, `endRequest`, `close`), and calls `drained` when it can send again.
 *
 * Frames pass as they came. Their size is checked against the limits, fin and reset are noticed, and nothing else is
 * read.
 */
export class LegHandler implements Holder, LegPort {
  readonly #relay: Relay;
  readonly #carrier: LegCarrier;
  readonly #rpc: LegRpc;
  readonly #reader: EnvelopeReader;
  #state: LegHandlerState;
  /** The leg's place among the legs of its caller, since it was attached. */
  #place: { kind: "open" | "ended"; streamId: string; caller: Caller; hold: Hold } | undefined;
  /** How fast frames may come on the leg; undefined if that is not limited, or nobody has attached it. */
  #rate: LegRate | undefined;
  /**
   * The request is not read until a deadline, because too much came; and then, if the peer is full, until it has room.
   */
  #rest: { cancelDeadline: () => void; peer: "free" | "full" } | undefined;
  /** Bytes of the request in the reader, which wait for the rest of their envelope, or for the peer. */
  #readerBytes = 0;
  readonly #stopHolding: () => void;

  constructor(relay: Relay, carrier: LegCarrier, rpc: LegRpc) {
    this.#relay = relay;
    this.#carrier = carrier;
    this.#rpc = rpc;
    const { openTimeoutMs, maxFrameBytes } = relay.limits;
    this.#reader = new EnvelopeReader(maxFrameBytes + legOverheadBytes, (flags, bytes) => this.#take(flags, bytes));
    const onLate = () => this.fail(violationError(`no open within ${openTimeoutMs} ms`, Code.DeadlineExceeded));
    this.#state = { kind: "opening", cancelDeadline: relay.clock.after(openTimeoutMs, onLate) };
    this.#stopHolding = relay.admission.heldBytes.add(this);
  }

  get caller(): Caller {
    return this.#place?.caller ?? this.#carrier.caller;
  }

  get heldBytes(): number {
    return this.#readerBytes + this.#carrier.heldBytes;
  }

  get passedBytes(): number {
    const state = this.#state;
    return state.kind === "attached" || state.kind === "broken off" ? passedBytesOf(state.half) : 0;
  }

  /**
   * Ends the stream, and the call at once: its caller does not read how it ended, so nothing is waited for. An endpoint
   * that can resume comes back, and hears it then.
   */
  endHeld(error: StreamError): void {
    const { kind } = this.#state;
    const isAttached = kind === "attached" || kind === "broken off";
    if (isAttached && this.#place !== undefined) this.#relay.endStream(this.#place.streamId, error);
    else this.fail(error);
    this.#carrier.cutOff();
  }

  /** Takes the next bytes of the request's body, which nobody may modify any more. */
  receive(chunk: Uint8Array): void {
    this.#read(() => {
      this.#readerBytes += chunk.byteLength;
      return this.#reader.push(chunk);
    });
  }

  /** The body of the request is whole. Bytes of it that wait for the peer come before its end. */
  endRequest(): void {
    const state = this.#state;
    if (state.kind === "opening") return this.fail(violationError("the first message is not open"));
    if (state.kind === "admitting") return this.#set({ ...state, request: "ended" });
    if (state.kind !== "attached") return;
    if (this.#reader.isStopped) return this.#set({ ...state, request: "ended" });
    const { half } = state;
    // A body is cut short like this when its connection breaks, which is no fault of the endpoint.
    if (this.#reader.isWithinEnvelope) return half.lose(violationError("the body ended within a message"));
    if (half.said === "fin" || half.said === "reset") return half.endRequest();
    const cancelDeadline = this.#relay.clock.after(abortGraceMs, () => half.endRequest());
    this.#set({ kind: "broken off", half, cancelDeadline });
  }

  /** The body of the request cannot be read. */
  fail(error: StreamError): void {
    const state = this.#state;
    if (state.kind === "opening" || state.kind === "admitting") this.#end(error);
    else if (state.kind === "attached" || state.kind === "broken off") state.half.fail(this.#frameError(error));
  }

  /** The body of the request cannot be read, unless it was cut short: then the abort of its call follows. */
  failUnlessAborted(error: StreamError): void {
    const state = this.#state;
    if (state.kind !== "attached") return this.fail(error);
    const cancelDeadline = this.#relay.clock.after(abortGraceMs, () => state.half.fail(this.#frameError(error)));
    this.#set({ kind: "broken off", half: state.half, cancelDeadline });
  }

  /** After the first message, only a frame can be too large to be read, and its sender is told the limit. */
  #frameError(error: StreamError): StreamError {
    const { failure, message } = error;
    if (failure !== Failure.FRAME_TOO_LARGE || error.limit !== undefined) return error;
    return new StreamError(message, {
      failure,
      limit: exceededLimit("maxFrameBytes", this.#relay.limits.maxFrameBytes),
    });
  }

  /** The carrier can send the next envelope. */
  drained(): void {
    if (this.#state.kind === "attached" || this.#state.kind === "broken off") this.#state.half.drained();
  }

  /**
   * The call is over. `end` says why, for a call that was over before its response had ended.
   */
  close(end: CallEnd): void {
    const state = this.#state;
    if (state.kind === "closed") return;
    this.#set({ kind: "closed" });
    this.#stopHolding();
    this.#place?.hold.release();
    if (state.kind !== "attached" && state.kind !== "broken off") return;
    const error = callOverError(end === "canceled");
    // The page was left, or its transport is not needed any more: nobody comes back.
    if (end === "left") state.half.fail(error);
    else state.half.lose(error);
  }

  /**
   * Reads some of the request, and pauses it if a frame has to wait for the peer. Bytes after the end of the leg are
   * dropped.
   */
  #read(read: () => boolean): void {
    if (this.#state.kind !== "opening" && this.#state.kind !== "attached") return;
    try {
      if (!read()) this.#pause();
    } catch (reason) {
      this.fail(StreamError.from(reason, Code.Internal));
    }
  }

  /** A frame that is not taken may have ended the stream, and then the rest of the request has to be read. */
  #pause(): void {
    const { kind } = this.#state;
    if (kind === "attached" || kind === "admitting") this.#carrier.pause();
  }

  #take(flags: number, bytes: Parts): boolean {
    this.#readerBytes -= bytes.byteLength;
    if (flags !== 0) throw violationError(`an envelope with the flags ${flags}`);
    if (this.#state.kind === "opening") return this.#open(decodeRequest(bytes));
    if (this.#state.kind !== "attached") return true;
    const frame = frameOf(bytes);
    const hasRoom = frame === undefined || this.#state.half.put(frame);
    const waitMs = this.#rate?.spend(bytes.byteLength) ?? 0;
    if (waitMs === 0) return hasRoom;
    // The frame may have ended the stream.
    if (this.#state.kind === "attached") this.#restFor(waitMs, hasRoom ? "free" : "full");
    return false;
  }

  #restFor(waitMs: number, peer: "free" | "full"): void {
    const goOn = () => {
      const isFree = this.#rest?.peer === "free";
      this.#rest = undefined;
      if (isFree) this.#goOn();
    };
    this.#rest = { peer, cancelDeadline: this.#relay.clock.after(waitMs, goOn) };
  }

  /** Returns whether the request can be read on at once. */
  #open({ message }: ConnectRequest): boolean {
    if (message.case !== "open") throw violationError("the first message is not open");
    const open = message.value;
    const { caller, token } = this.#carrier;
    const admitted = this.#rpc.admit(this.#relay, open, caller, token);
    if (!(admitted instanceof Promise)) {
      this.#attach(open, admitted);
      return this.#rest === undefined;
    }
    this.#set({ kind: "admitting", request: "open" });
    admitted.then(
      (result) => this.#onAdmitted(open, result),
      (reason) => this.fail(StreamError.from(reason, Code.Internal)),
    );
    return false;
  }

  /** The call may have ended meanwhile. */
  #onAdmitted(open: Open, admitted: Admitted): void {
    if (this.#state.kind !== "admitting") return;
    const { request } = this.#state;
    try {
      this.#attach(open, admitted);
    } catch (reason) {
      return this.fail(StreamError.from(reason, Code.Internal));
    }
    if (this.#rest === undefined) this.#readOn();
    if (request === "ended") this.endRequest();
  }

  #attach(open: Open, admitted: Admitted): void {
    const { half, caller, hold, opened, resumption } = this.#rpc.attach(this.#relay, open, admitted);
    this.#place = { kind: "open", streamId: opened.streamId, caller, hold };
    this.#carrier.takePlace();
    this.#rate = this.#relay.admission.byteRates.ofLeg(caller, half);
    this.#set({ kind: "attached", half, request: "open" });
    this.#send({ case: "opened", value: opened });
    half.attach(this, resumption);
    // The endpoint or its caller may have brought too much on other legs.
    const waitMs = this.#rate?.spend(0) ?? 0;
    if (waitMs > 0 && this.#state.kind === "attached") this.#restFor(waitMs, "free");
  }

  sendAccepted(capabilities: Capabilities | undefined): void {
    this.#send({ case: "accepted", value: capabilities === undefined ? {} : { capabilities } });
  }

  sendFrame(frame: RelayedFrame): boolean {
    return this.#state.kind === "closed" || this.#carrier.send(frame.envelope);
  }

  sendSuspended(graceMs: number): boolean {
    return this.#send({ case: "suspended", value: { graceMs } });
  }

  sendResumed(receivedSequence: number): boolean {
    return this.#send({ case: "resumed", value: { receivedSequence: BigInt(receivedSequence) } });
  }

  sendDraining(graceMs: number): void {
    this.#send({ case: "draining", value: { graceMs } });
    this.#carrier.retire();
  }

  goOn(): void {
    if (this.#rest === undefined) this.#goOn();
    else this.#rest.peer = "free";
  }

  finish(error: StreamError | undefined): void {
    this.#end(error);
  }

  /** Reads on after the request was paused, to its end if that has come. */
  #goOn(): void {
    this.#readOn();
    if (this.#state.kind === "attached" && this.#state.request === "ended") this.endRequest();
  }

  /** Reads on after the request was paused. */
  #readOn(): void {
    this.#read(() => {
      const hasRoom = this.#reader.resume();
      if (hasRoom) this.#carrier.resume();
      return hasRoom;
    });
  }

  /** Returns false if the next message should wait until the carrier has room. */
  #send(message: NonNullable<MessageInitShape<typeof ConnectResponseSchema>["message"]>): boolean {
    if (this.#state.kind === "closed") return true;
    const data = toBinary(ConnectResponseSchema, create(ConnectResponseSchema, { message }));
    return this.#carrier.send(new Parts([envelope(0, data)]));
  }

  #end(error: StreamError | undefined): void {
    if (this.#state.kind === "closed") return;
    const timeoutMs = this.#countEnded();
    this.#set({ kind: "ended" });
    // The rest of the request is read and dropped, so that its caller can send it.
    this.#carrier.resume();
    this.#carrier.end(error, timeoutMs);
  }

  /**
   * Counts the leg as one that has ended, until its call is over. Returns the time within which the caller has to read
   * its end, which is none if the caller leaves too many of them unread.
   */
  #countEnded(): number {
    const place = this.#place;
    if (place === undefined) return closeTimeoutMs;
    // All legs of a relay that closes end at once, whoever reads theirs.
    if (place.kind === "ended" || this.#relay.closed !== undefined) return answerTimeoutMs;
    const { streamId, caller, hold } = place;
    try {
      const ended = this.#relay.admission.hold(caller, { kind: "ended leg" }, hold);
      this.#place = { kind: "ended", streamId, caller, hold: ended };
      return answerTimeoutMs;
    } catch {
      // The operator has been warned.
      return 0;
    }
  }

  #set(state: LegHandlerState): void {
    if ("cancelDeadline" in this.#state) this.#state.cancelDeadline();
    if (state.kind !== "attached") this.#rest?.cancelDeadline();
    this.#state = state;
  }
}

/**
 * Counts the bytes that have gone on in the direction in which the leg of a half is held back: from its endpoint if a
 * frame of that waits for the peer, and otherwise to it.
 */
export function passedBytesOf(half: Half): number {
  return half.isHeldBack ? half.bytes : half.peer.bytes;
}

/** The end of a call that was over before its response was: its caller cancelled it, or its connection broke. */
export function callOverError(isCanceled: boolean): StreamError {
  return isCanceled
    ? new StreamError("the call was cancelled", { failure: Failure.PEER_CANCELED })
    : new StreamError("the connection to the relay broke", { failure: Failure.LEG_LOST });
}
