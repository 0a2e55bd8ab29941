import { Failure, Hop } from "../../gen/streamserver/v1/failure_pb.js";
import type { Channel } from "../../link/channel/channel.js";
import { StreamError } from "../../stream/error/stream-error.js";
import type { Clock } from "../../stream/platform/clock.js";
import { Deferred } from "../../stream/platform/deferred.js";
import type { Hold } from "../admission/admission.js";
import { AnswerDeadline } from "../http/answer-deadline.js";
import { closeTimeoutMs } from "../http/open-responses.js";
import type { CallControl } from "../rpc/caller.js";

/** What may be done with the call on a channel. Its owner closes it when the call is over. */
export class ChannelControl implements CallControl {
  readonly #channel: Channel;
  readonly #opening: Hold;
  readonly #over = new Deferred<void>();
  readonly #deadline: AnswerDeadline;

  /** `opening` is the call's place among those that open. */
  constructor(channel: Channel, clock: Clock, opening: Hold) {
    this.#channel = channel;
    this.#opening = opening;
    this.#deadline = new AnswerDeadline(clock, () => channel.reset(unreadError()));
  }

  get heldBytes(): number {
    return this.#channel.waitingBytes;
  }

  expectEnd(timeoutMs = closeTimeoutMs): void {
    this.#deadline.expect(timeoutMs);
  }

  takePlace(): void {
    this.#opening.release();
  }

  onEnd(act: () => void): void {
    void this.#over.promise.then(act);
  }

  close(): void {
    this.#over.resolve();
    this.#deadline.cancel();
    this.#opening.release();
  }
}

/** An endpoint that can resume comes back, and hears how its stream ended. */
function unreadError(): StreamError {
  const message = "the channel was over, and its answer was not read to the end in time";
  return new StreamError(message, { failure: Failure.LEG_LOST, hop: Hop.RELAY });
}
