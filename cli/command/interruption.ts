import { Failure, StreamError } from "../../web/node.js";

/** The user, or the system, has asked the program to end. */
export class Interrupted extends Error {
  constructor(readonly signalName: "SIGINT" | "SIGTERM") {
    super(signalName === "SIGINT" ? "interrupted" : "terminated");
  }
}

/** Calls `action` when the signal is aborted: at once, if it is already. */
export function whenAborted(signal: AbortSignal, action: () => void): void {
  if (signal.aborted) action();
  else signal.addEventListener("abort", action, { once: true });
}

/** The error that the peer gets from a stream that an interruption ends. */
export function interruptedStreamError(): StreamError {
  return new StreamError("interrupted", { failure: Failure.PEER_CANCELED });
}
