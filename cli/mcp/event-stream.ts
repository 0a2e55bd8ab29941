import { createParser } from "eventsource-parser";
import { maxTimerMs } from "../../stream/platform/system-clock.js";
import { Failure, Hop, StreamError } from "../../web/node.js";

/** The first pause before a stream is opened again, where the tab names none, and the longest one. */
const pauseMs = { first: 1_000, longest: 30_000 };
/** A tab that names no pause at all is asked a hundred times a second. */
const minRetryMs = 10;
/** As much as a message of a stream may have, unless its receiver says otherwise. */
const maxEventCharacters = 16_777_216;
/** An id that a header can carry. One that it cannot is like none: the stream begins anew. */
const headerValue = /^[\x20-\x7e]{1,4096}$/;

type Field = { kind: "id"; id: string } | { kind: "message"; data: string };

/**
 * A stream of server-sent events, over the responses that carry its parts. It knows where it was cut, for the header
 * Last-Event-ID of the request for its next part, and how long to wait before that.
 */
export class EventStream {
  #lastEventId: string | undefined;
  #retryMs = pauseMs.first;
  /** Attempts since the last response that had an event. */
  #failures = 0;

  /** The id of the last event that was given to `onMessage`, or that had no message; undefined if it had none. */
  get lastEventId(): string | undefined {
    return this.#lastEventId;
  }

  get failures(): number {
    return this.#failures;
  }

  /**
   * Gives the data of each event with a message to `onMessage`, one after the other. Resolves at the end of the body,
   * and rejects with why it was cut.
   */
  async read(body: ReadableStream<Uint8Array>, onMessage: (data: string) => Promise<void>): Promise<void> {
    const fields: Field[] = [];
    const parser = createParser({
      maxBufferSize: maxEventCharacters,
      onId: (id) => fields.push({ kind: "id", id }),
      onEvent({ event = "message", data }) {
        // An event without data begins a stream that can be resumed, and carries no message.
        if (event === "message" && data !== "") fields.push({ kind: "message", data });
      },
      onRetry: (ms) => {
        this.#retryMs = Math.min(Math.max(ms, minRetryMs), maxTimerMs);
      },
      onError({ type }) {
        if (type === "max-buffer-size-exceeded") throw largeEventError();
      },
    });
    const decoder = new TextDecoder();
    // Events are parsed where they are given, and not in a stream that drops those that wait in it when the body fails:
    // their ids count as received.
    for await (const part of body) {
      parser.feed(decoder.decode(part, { stream: true }));
      if (fields.length > 0) this.#failures = 0;
      for (const field of fields.splice(0)) {
        if (field.kind === "message") await onMessage(field.data);
        else this.#lastEventId = headerValue.test(field.id) ? field.id : undefined;
      }
    }
  }

  /**
   * Begins another attempt to open the stream. Returns how long to wait before it, in milliseconds: as long as the tab
   * has said, and longer after each failure.
   */
  retry(): number {
    const ms = Math.min(this.#retryMs * 2 ** this.#failures, Math.max(this.#retryMs, pauseMs.longest));
    this.#failures += 1;
    return ms;
  }
}

function largeEventError(): StreamError {
  const message = `an event has more than ${maxEventCharacters} characters`;
  return new StreamError(message, { failure: Failure.MESSAGE_TOO_LARGE, hop: Hop.PEER });
}
