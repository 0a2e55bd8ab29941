import type { StreamError } from "../../stream/error/stream-error.js";

/** The code that sends and reads a channel's bodies. Its methods do not throw. */
export interface ChannelUser {
  /** Takes the next bytes of the peer's body, in the turn in which they come. */
  onData(chunk: Uint8Array): void;
  /** The peer's body has been read to its end. */
  onEnd(): void;
  /** All written data has been sent, after `Channel.write` returned false: the next data may be written. */
  onDrain(): void;
  /**
   * The channel is over: with an error if it failed, and then `onEnd` does not come. Bytes that came before its end can
   * still be read.
   */
  onClosed(error: StreamError | undefined): void;
}
