import { Failure, Hop } from "../../../gen/streamserver/v1/failure_pb.js";
import { StreamError, type StreamErrorOptions } from "../../../stream/error/stream-error.js";
import type { Clock } from "../../../stream/platform/clock.js";
import { Half, type Role } from "./half.js";
import type { RelayedFrame } from "./relayed-frame.js";
import type { Splice } from "./splice.js";

/**
 * Streams whose ends are kept, which are those of the last seconds of a busy relay. 10,000 take about 3 MB, and with
 * the longest reasons 30 MB.
 */
export const maxEnds = 10_000;

/** A reset with the longest reason, 1,024 bytes, has room in this. A larger one is not kept. */
const maxResetBytes = 2_048;

/** How a stream ended for one of its endpoints. An error itself is not kept, because it has a stack. */
interface End {
  error: (Pick<StreamError, "message" | "code" | "failure" | "hop"> & Pick<StreamErrorOptions, "limit">) | undefined;
  reset: RelayedFrame | undefined;
  /** The highest number of the endpoint's frames that its peer has had. */
  receivedSequence: number;
}

const endedWell: End = { error: undefined, reset: undefined, receivedSequence: 0 };

/**
 * The ends of the last streams that could be resumed. An endpoint did not hear of the end if its leg had broken and
 * nobody had noticed; it learns how the stream ended, and what its peer has had, when it comes back.
 */
export class EndedStreams {
  readonly #clock: Clock;
  /** In the order in which the streams ended. */
  readonly #ends = new Map<string, Readonly<Record<Role, End>>>();

  constructor(clock: Clock) {
    this.#clock = clock;
  }

  add({ id, client, listener }: Splice): void {
    this.#set(id, { client: endOf(client), listener: endOf(listener) });
  }

  /**
   * An endpoint has reset a stream of another process that neither endpoint has taken up here: its peer hears of it
   * when it comes. Returns false for a stream that has ended before.
   */
  addReset(id: string, role: Role, reset: RelayedFrame): boolean {
    if (this.#ends.has(id)) return false;
    const peerRole = role === "client" ? "listener" : "client";
    this.#set(id, { client: endedWell, listener: endedWell, [peerRole]: { ...endedWell, reset } });
    return true;
  }

  #set(id: string, ends: Readonly<Record<Role, End>>): void {
    this.#ends.set(id, ends);
    const [oldest] = this.#ends.keys();
    if (this.#ends.size > maxEnds && oldest !== undefined) this.#ends.delete(oldest);
  }

  /**
   * Returns a half for an endpoint that is owed the reset of its peer, or FAILURE_LIMIT_REACHED, and undefined for a
   * stream whose end is not known. Throws any other error with which the stream ended for the endpoint, or
   * FAILURE_STREAM_GONE if it ended well.
   */
  resume(id: string, role: Role): Half | undefined {
    const end = this.#ends.get(id)?.[role];
    if (end === undefined) return undefined;
    if (end.reset !== undefined) return Half.owing(end.reset, this.#clock);
    const receivedSequence = end.receivedSequence || undefined;
    if (end.error === undefined) throw streamGoneError(receivedSequence);
    const error = new StreamError(end.error.message, { ...end.error, receivedSequence });
    // A leg that is refused for a limit is tried again. One that ends for it after `opened` is not.
    if (error.failure === Failure.LIMIT_REACHED) return Half.owing(error, this.#clock);
    throw error;
  }
}

/** The error of an endpoint that comes back to a stream that has ended. */
export function streamGoneError(receivedSequence?: number): StreamError {
  return new StreamError("the stream has ended", { failure: Failure.STREAM_GONE, receivedSequence });
}

function endOf({ error, peer: { reset, receivedSequence } }: Half): End {
  return {
    error: error === undefined || isOwnLoss(error) ? undefined : plain(error),
    reset: reset !== undefined && reset.envelope.byteLength <= maxResetBytes ? reset : undefined,
    receivedSequence,
  };
}

/** Whether the relay did not wait any longer for the endpoint. Once it comes back, its leg is not lost. */
function isOwnLoss({ failure, hop }: StreamError): boolean {
  return failure === Failure.LEG_LOST && hop !== Hop.PEER;
}

function plain({ message, code, failure, hop, limit }: StreamError): End["error"] {
  return { message, code, failure, hop, limit };
}
