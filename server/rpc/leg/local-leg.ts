import { create } from "@bufbuild/protobuf";
import { Code } from "@connectrpc/connect";
import { OpenSchema } from "../../../gen/streamserver/v1/relay_pb.js";
import type { LegCall, LegCaller, LegCallHandlers, Open } from "../../../leg/leg-call.js";
import type { Frame } from "../../../stream/endpoint/frame.js";
import { StreamError } from "../../../stream/error/stream-error.js";
import { Fifo } from "../../../stream/platform/fifo.js";
import { afterTurn } from "../../../stream/platform/turn.js";
import type { Hold } from "../../admission/admission.js";
import { type Caller, localCaller } from "../../admission/caller.js";
import type { Holder } from "../../admission/held-bytes.js";
import type { Admitted } from "../../admission/policy/authorize.js";
import type { LegRate } from "../../admission/rates/byte-rates.js";
import type { Relay } from "../../relay/relay.js";
import type { Half } from "../../relay/stream/half.js";
import type { LegPort } from "../../relay/stream/leg-port.js";
import { endpointFrame, type RelayedFrame, relayedFrame } from "../../relay/stream/relayed-frame.js";
import { callOverError, passedBytesOf } from "./leg-handler.js";
import { acceptRpc, connectRpc, type LegRpc } from "./leg-rpc.js";

/**
 * Frames may wait for an endpoint in this process up to this many bytes, and one frame beyond. Unless the endpoint is
 * paused they wait for the end of a turn, in which a channel brings at most this much, its window.
 */
const maxInboxBytes = 262_144;

/**
 * Attaches the legs of endpoints in the relay's own process to the relay, without a call in between. They are legs of
 * the caller that was let in; without one they are this process's own, which may do everything.
 */
export function localLegCaller(relay: Relay, admitted?: Admitted): LegCaller {
  return (method, open, handlers) => {
    const rpc = method === "connect" ? connectRpc : acceptRpc;
    return new LocalLeg(relay, rpc, open, handlers, admitted);
  };
}

type LocalLegState =
  | { kind: "opening" }
  | { kind: "attached"; half: Half }
  /** The stream is over, or the relay refused the leg, but the endpoint has not heard of it yet. */
  | { kind: "ended" }
  | { kind: "over" };

/**
 * The leg of an endpoint in the relay's own process. It takes the place of a call, a carrier and a `LegHandler`.
 *
 * The endpoint runs callbacks of the application, so it hears everything in a turn of its own. A callback that closes
 * the relay or ends a stream never runs inside the relay, in the middle of a frame of another leg.
 */
class LocalLeg implements LegCall, Holder {
  readonly caller: Caller;
  readonly #relay: Relay;
  readonly #handlers: LegCallHandlers;
  /** The calls of the handlers that are due, in order. */
  readonly #inbox = new Fifo<() => void>();
  /** The bytes of the frames in the inbox. */
  #inboxBytes = 0;
  #delivery: "idle" | "scheduled" = "idle";
  #reading: "on" | "paused" = "on";
  #state: LocalLegState = { kind: "opening" };
  /** The stream of the leg; empty before that was attached. */
  #streamId = "";
  /** The leg's place among the legs, since it was attached. */
  #hold: Hold | undefined;
  #stopHolding = () => {};
  /** How fast the leg of a caller may bring bytes. This process may bring any. */
  #rate: LegRate | undefined;
  /** The endpoint has sent too much for its rate, and waits; its peer may have room meanwhile. */
  #rest: { peer: "free" | "full"; cancel: () => void } | undefined;

  constructor(relay: Relay, rpc: LegRpc, open: Open, handlers: LegCallHandlers, admitted: Admitted | undefined) {
    this.#relay = relay;
    this.#handlers = handlers;
    this.caller = admitted?.caller ?? localCaller;
    try {
      const first = create(OpenSchema, open);
      const request = admitted ?? { caller: localCaller, metadata: first.metadata };
      const { half, hold, opened, resumption } = rpc.attach(relay, first, request);
      this.#hold = hold;
      this.#streamId = opened.streamId;
      this.#stopHolding = relay.admission.heldBytes.add(this);
      this.#state = { kind: "attached", half };
      if (admitted !== undefined) this.#rate = relay.admission.byteRates.ofLeg(admitted.caller, half);
      this.#tell(() => handlers.onOpened(opened));
      half.attach(this.#port, resumption);
    } catch (reason) {
      this.#end(refusalOf(StreamError.from(reason, Code.Internal)));
    }
  }

  send(frame: Frame): boolean {
    if (this.#state.kind !== "attached") return true;
    const relayed = relayedFrame(frame);
    this.#relay.admission.heldBytes.received(relayed.envelope.byteLength);
    const hasRoom = this.#state.half.put(relayed);
    const waitMs = this.#rate?.spend(relayed.envelope.byteLength) ?? 0;
    if (waitMs === 0) return hasRoom;
    const cancel = this.#relay.clock.after(waitMs, () => this.#onRested());
    this.#rest = { peer: hasRoom ? "free" : "full", cancel };
    return false;
  }

  #onRested(): void {
    const peer = this.#rest?.peer;
    this.#rest = undefined;
    if (peer === "free") this.#goOn();
  }

  #goOn(): void {
    afterTurn(() => {
      if (this.#state.kind === "attached") this.#handlers.onDrain();
    });
  }

  end(): void {
    if (this.#state.kind === "attached") this.#state.half.endRequest();
  }

  pause(): void {
    this.#reading = "paused";
  }

  resume(): void {
    this.#reading = "on";
    this.#schedule();
  }

  cancel(): void {
    this.#breakOff(new StreamError("the call was cancelled", { code: Code.Canceled }), callOverError(true));
  }

  get heldBytes(): number {
    return this.#inboxBytes;
  }

  get passedBytes(): number {
    return this.#state.kind === "attached" ? passedBytesOf(this.#state.half) : 0;
  }

  endHeld(error: StreamError): void {
    if (this.#state.kind === "attached") this.#relay.endStream(this.#streamId, error);
    // The stream is over by now, and the endpoint hears so before the frames that wait.
    this.#breakOff(error, error);
  }

  get #port(): LegPort {
    return {
      caller: this.caller,
      sendAccepted: (capabilities) => this.#tell(() => this.#handlers.onAccepted(capabilities)),
      sendFrame: (frame) => this.#receive(frame),
      sendSuspended: (graceMs) => this.#notify(() => this.#handlers.onSuspended(graceMs)),
      sendResumed: (receivedSequence) => this.#notify(() => this.#handlers.onResumed(receivedSequence)),
      sendDraining: (graceMs) => this.#tell(() => this.#handlers.onDraining(graceMs)),
      goOn: () => {
        if (this.#rest === undefined) this.#goOn();
        else this.#rest.peer = "free";
      },
      finish: (error) => this.#end(error),
    };
  }

  #notify(call: () => void): boolean {
    this.#tell(call);
    return this.#hasRoom;
  }

  get #hasRoom(): boolean {
    return this.#reading === "on" && this.#inboxBytes < maxInboxBytes;
  }

  #receive(relayed: RelayedFrame): boolean {
    if (this.#state.kind !== "attached") return true;
    let frame: Frame;
    try {
      frame = endpointFrame(relayed);
    } catch (cause) {
      const error = new StreamError("bytes that are no message of a leg", { code: Code.Internal, cause });
      this.#breakOff(error, callOverError(false));
      return true;
    }
    const { byteLength } = relayed.envelope;
    this.#inboxBytes += byteLength;
    this.#tell(() => {
      this.#inboxBytes -= byteLength;
      this.#handlers.onFrame(frame);
    });
    return this.#hasRoom;
  }

  /** The stream is over, or the relay refused the leg. The endpoint hears of it after all that waits for it. */
  #end(error: StreamError | undefined): void {
    if (this.#state.kind !== "opening" && this.#state.kind !== "attached") return;
    this.#state = { kind: "ended" };
    this.#tell(() => this.#over(error));
  }

  /** Ends the leg with an error for the endpoint, which hears nothing more before it, and with one for the relay. */
  #breakOff(error: StreamError, legError: StreamError): void {
    const state = this.#state;
    if (state.kind !== "attached" && state.kind !== "ended") return;
    this.#inbox.clear();
    this.#inboxBytes = 0;
    this.#reading = "on";
    this.#state = { kind: "ended" };
    this.#tell(() => this.#over(error));
    if (state.kind === "attached") state.half.fail(legError);
  }

  #over(error: StreamError | undefined): void {
    this.#hold?.release();
    this.#stopHolding();
    this.#rest?.cancel();
    this.#state = { kind: "over" };
    this.#handlers.onEnd(error);
  }

  #tell(call: () => void): void {
    this.#inbox.push(call);
    this.#schedule();
  }

  #schedule(): void {
    if (this.#delivery === "scheduled") return;
    this.#delivery = "scheduled";
    afterTurn(() => {
      this.#delivery = "idle";
      this.#deliver();
    });
  }

  #deliver(): void {
    while (this.#reading === "on") {
      const call = this.#inbox.shift();
      if (call === undefined) break;
      call();
    }
    if (this.#reading === "on" && this.#state.kind === "attached") this.#state.half.drained();
  }
}

/** Returns a copy, by whose cause the log's id is found in whatever the endpoint makes of it. */
function refusalOf(error: StreamError): StreamError {
  const { message, failure, code, hop, limit } = error;
  return new StreamError(message, { failure, code, hop, limit, cause: error });
}
