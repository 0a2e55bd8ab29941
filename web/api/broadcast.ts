import type { EncodedMessage } from "../../stream/endpoint/sender.js";
import { Stream } from "../../stream/stream.js";

/** The streams that a message was written to, and those that it was not. */
export interface Broadcast<Out, In> {
  /** The number of streams that took the message. */
  sent: number;
  /**
   * The streams that took the message and are above their high-water mark now, as after a `write()` that returns false.
   */
  behind: Stream<Out, In>[];
  /** Live streams that did not take it: `end()` was called, the peer takes only smaller messages, or too much waits. */
  missed: Stream<Out, In>[];
}

/** Writes one encoded message to many streams, and waits for none of them. */
export function broadcast<Out, In>(streams: ReadonlySet<Stream<Out, In>>, message: EncodedMessage): Broadcast<Out, In> {
  const result: Broadcast<Out, In> = { sent: 0, behind: [], missed: [] };
  // A copy, because a stream that fails by its write leaves the set.
  for (const stream of [...streams]) {
    const room = Stream.writeEncoded(stream as Stream<unknown, never>, message);
    if (room === undefined) result.missed.push(stream);
    else result.sent += 1;
    if (room === false) result.behind.push(stream);
  }
  return result;
}
