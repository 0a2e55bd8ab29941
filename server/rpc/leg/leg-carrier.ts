import type { Parts } from "../../../leg/parts.js";
import type { StreamError } from "../../../stream/error/stream-error.js";
import type { Caller } from "../../admission/caller.js";

/** The relay's end of the call that carries a leg. */
export interface LegCarrier {
  readonly caller: Caller;
  /** The access token that came with the call. Empty if none did. */
  readonly token: string;
  /** The bytes that wait in the carrier: those of the request to be read, and those that were sent and not taken. */
  readonly heldBytes: number;
  /** The leg counts as one from now on, and its call no longer as one that opens. */
  takePlace(): void;
  /** Sends an envelope. Returns false if the next one has to wait until `LegHandler.drained` is called. */
  send(envelope: Parts): boolean;
  /** Stops reading the body of the request until `resume`. The carrier may still call `LegHandler.endRequest`. */
  pause(): void;
  resume(): void;
  /**
   * The relay is going away: the caller should make its next calls on another connection, where it has one of its own.
   */
  retire(): void;
  /**
   * Ends the response, well or with an error, as its RPC protocol does. The carrier calls `LegHandler.close` once the
   * response was read. A call that is not over after `timeoutMs` is cut off.
   */
  end(error: StreamError | undefined, timeoutMs: number): void;
  /** Ends the call at once, with all that waits in it. The carrier calls `LegHandler.close` soon. */
  cutOff(): void;
}
