import type { Capabilities } from "../../../gen/streamserver/v1/relay_pb.js";
import type { StreamError } from "../../../stream/error/stream-error.js";
import type { Caller } from "../../admission/caller.js";
import type { RelayedFrame } from "./relayed-frame.js";

/** The way to the endpoint of a leg, called in the order in which the endpoint is to hear of things. */
export interface LegPort {
  /**
   * The caller that opened the leg. An endpoint in the relay's process goes with the relay, and cannot attach
   * elsewhere.
   */
  readonly caller: Caller;
  /** The listener has accepted, and is capable of this. */
  sendAccepted(capabilities: Capabilities | undefined): void;
  /** Sends a frame. Returns false if the next one has to wait until `Half.drained` is called. */
  sendFrame(frame: RelayedFrame): boolean;
  /** The peer has no leg, and the relay waits this long for it to come back. Returns as `sendFrame` does. */
  sendSuspended(graceMs: number): boolean;
  /** Both endpoints have a leg again, and the peer has the frames up to this number. Returns as `sendFrame` does. */
  sendResumed(receivedSequence: number): boolean;
  /** The relay is going away, and the leg may still go on for this long. */
  sendDraining(graceMs: number): void;
  /** `Half.put` takes frames again, if it returned false before. */
  goOn(): void;
  /** The leg is over, well or with an error. Nothing follows, and the leg calls its half no more. */
  finish(error: StreamError | undefined): void;
}

/** The facts with which an endpoint attaches again. */
export interface Resumption {
  /** The number of the attachment, which is higher than that of each one before. */
  generation: number;
  /** The highest number of the peer's frames that the endpoint has received without a gap. */
  receivedSequence: number;
  /** Whether the endpoint knows that the stream was accepted, as a listener always does. */
  knowsAccepted: boolean;
}
