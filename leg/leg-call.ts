import type { MessageInitShape } from "@bufbuild/protobuf";
import type {
  AcceptResponse,
  Capabilities,
  ConnectResponse,
  Opened,
  OpenSchema,
} from "../gen/streamserver/v1/relay_pb.js";
import type { Frame } from "../stream/endpoint/frame.js";
import { frameFromWire } from "./wire-frame.js";

/** The RPC of a leg. */
export type LegMethod = "connect" | "accept";

/** The first message of a leg. */
export type Open = MessageInitShape<typeof OpenSchema>;

/** The parts of `ConnectResponse` and `AcceptResponse` that a leg reads. */
export type LegResponse = Pick<ConnectResponse, "message"> | Pick<AcceptResponse, "message">;

/**
 * An RPC message of a leg may be this much larger than the messages of a full frame. An `Open` with its metadata fits
 * in, and so do the tags and lengths of a frame's fields.
 */
export const legOverheadBytes = 65_536;

/** The largest RPC message of a leg. The largest frame that a relay may allow fits in, with the overhead. */
export const maxRpcMessageBytes = 1_048_576;

/** The endpoint's end of the call of its leg, which begins with an `Open`. */
export interface LegCall {
  /**
   * Sends a frame, whose data is all there. Returns false if the next one has to wait for `LegCallHandlers.onDrain`.
   */
  send(frame: Frame): boolean;
  /** No frame will follow. The answer may go on. */
  end(): void;
  /** Stops `onFrame` until `resume`. */
  pause(): void;
  resume(): void;
  /** Ends the call both ways. `onEnd` follows. */
  cancel(): void;
}

/** The endpoint that a {@link LegCall} belongs to. Its methods do not throw. */
export interface LegCallHandlers {
  /** The relay has answered, with this head. A leg in the relay's own process has none. */
  onHeader(header: Headers): void;
  /** The relay has taken the leg. */
  onOpened(opened: Opened): void;
  /** `Connect` only: the listener has accepted, and is capable of this. */
  onAccepted(capabilities: Capabilities | undefined): void;
  onFrame(frame: Frame): void;
  /** The peer has no leg, and the relay waits this long for it to come back. */
  onSuspended(graceMs: number): void;
  /** Both endpoints have a leg again, and the peer is known to have the frames up to this number. */
  onResumed(receivedSequence: number): void;
  /** The relay is going away, and the call may still go on for this long. */
  onDraining(graceMs: number): void;
  /** The call can send again. */
  onDrain(): void;
  /** The application transferred data away before it was sent. The frame with it did not go out. */
  onTransferredAway(): void;
  /**
   * The call is over, with an error if it failed. It is broken if the relay has not ended it, as far as that is known.
   * Called once, as the last.
   */
  onEnd(reason: unknown, isBroken?: boolean): void;
}

/** Calls the RPC of a leg. */
export type LegCaller = (method: LegMethod, open: Open, handlers: LegCallHandlers) => LegCall;

/** Hands a decoded response to the endpoint. A kind of response that this code does not know is ignored. */
export function handOn(message: LegResponse["message"], handlers: LegCallHandlers): void {
  if (message.case === "opened") handlers.onOpened(message.value);
  if (message.case === "accepted") handlers.onAccepted(message.value.capabilities);
  if (message.case === "frame") handlers.onFrame(frameFromWire(message.value));
  if (message.case === "suspended") handlers.onSuspended(message.value.graceMs);
  if (message.case === "resumed") handlers.onResumed(Number(message.value.receivedSequence));
  if (message.case === "draining") handlers.onDraining(message.value.graceMs);
}
