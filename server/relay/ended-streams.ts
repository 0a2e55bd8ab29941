import { Failure } from "../../gen/streamserver/v1/failure_pb.js";
import { StreamError } from "../../stream/error/stream-error.js";
import type { Role, Splice } from "./splice.js";

/** Streams whose accounts are kept. 10,000 take about 2 MB, and are those of the last seconds of a busy relay. */
const maxAccounts = 10_000;

/** For each endpoint the highest number of its frames that its peer has had. */
type Account = Readonly<Record<Role, number>>;

/**
 * The accounts of the last streams that could be resumed and have ended. An endpoint that did not hear of the end, because
 * its leg had broken and nobody had noticed, learns with them that the peer has had everything.
 */
export class EndedStreams {
  /** In the order in which the streams ended. */
  readonly #accounts = new Map<string, Account>();

  add({ id, client, listener }: Splice): void {
    if (client.receivedSequence === 0 && listener.receivedSequence === 0) return;
    this.#accounts.set(id, { client: listener.receivedSequence, listener: client.receivedSequence });
    const [oldest] = this.#accounts.keys();
    if (this.#accounts.size > maxAccounts && oldest !== undefined) this.#accounts.delete(oldest);
  }

  /** The error of an endpoint that comes back to a stream that has ended, with its account if that is still known. */
  goneError(id: string, role: Role): StreamError {
    const receivedSequence = this.#accounts.get(id)?.[role] || undefined;
    return new StreamError("the stream has ended", { failure: Failure.STREAM_GONE, receivedSequence });
  }
}
