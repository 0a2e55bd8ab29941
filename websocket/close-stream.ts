import type { RawInput, RawMessage } from "../stream/codec.js";
import type { StreamError } from "../stream/error/stream-error.js";
import { systemClock } from "../stream/platform/system-clock.js";
import type { Stream } from "../stream/stream.js";
import { closeError, normalClosure } from "./close-code.js";

/**
 * A peer has this long to take all messages, and to answer a close. It is more than the 120 s for which a relay keeps a
 * stream whose connection is lost, so that messages written before a cut still arrive.
 */
const closeTimeoutMs = 150_000;
/** A stream has no event for the moment in which all messages are handed to the transport, so it is asked so often. */
const handedOnIntervalMs = 20;

/**
 * Ends a stream as a WebSocket is closed, behind all messages that were written: 1000 finishes this direction, and
 * another code ends the stream with an error that has code and reason.
 */
export function closeStream(stream: Stream<RawMessage, RawInput>, code: number, reason: string): void {
  if (isOver(stream)) return;
  const stop = systemClock.after(closeTimeoutMs, () => stream.destroy(), false);
  stream.once("close", stop);
  if (code === normalClosure) stream.end();
  else destroyWhenHandedOn(stream, closeError(code, reason));
}

/** A reset overtakes the messages that wait for the transport, so it waits for them. */
function destroyWhenHandedOn(stream: Stream<RawMessage, RawInput>, error: StreamError): void {
  if (isOver(stream)) return;
  if (stream.bufferedBytes === 0) stream.destroy(error);
  else systemClock.after(handedOnIntervalMs, () => destroyWhenHandedOn(stream, error), false);
}

function isOver({ state }: Stream<RawMessage, RawInput>): boolean {
  return state === "closed" || state === "failed";
}
