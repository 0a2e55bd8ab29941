import { Emitter } from "./platform/emitter.js";

/** Anything with the writable face of Node's streams. */
export interface PipeDestination<T> {
  write(message: T): unknown;
  end(): unknown;
  once(event: "drain" | "close" | "error", listener: (error?: unknown) => void): unknown;
  off(event: "drain" | "close" | "error", listener: (error?: unknown) => void): unknown;
  destroy?(error?: Error): unknown;
  listenerCount?(event: "error"): number;
  /** Node's: true once it takes nothing more. */
  readonly destroyed?: unknown;
}

export interface PipeSource<T> extends AsyncIterable<T> {
  destroy(): unknown;
  /** Rejects when the source fails. */
  readonly closed: Promise<unknown>;
  /** Told of an error, of the source or of the destination, that nobody hears of by the destination. */
  onUnheard(error: unknown): void;
}

/**
 * Writes every message of `source` to `destination`, at its pace. A source that fails destroys the destination at once,
 * even while it takes nothing; a destination that closes or fails destroys the source.
 */
export async function pipe<T>(source: PipeSource<T>, destination: PipeDestination<T>, end: boolean): Promise<void> {
  let state: "open" | "over" = "open";
  let wake = () => {};
  const onClose = () => {
    source.destroy();
    wake();
  };
  const onError = (error: unknown) => {
    if (!destination.listenerCount?.("error")) source.onUnheard(error);
    onClose();
  };
  const detach = () => {
    state = "over";
    destination.off("close", onClose);
    destination.off("error", onError);
    wake();
  };
  const drained = () =>
    new Promise<void>((resolve) => {
      wake = () => {
        destination.off("drain", wake);
        resolve();
      };
      destination.once("drain", wake);
    });
  const fail = (error: unknown) => {
    if (state === "over") return;
    detach();
    if (!destination.listenerCount?.("error")) source.onUnheard(error);
    if (destination.destroy === undefined) return;
    // The error is the source's, so nobody has to listen for it here.
    destination.once("error", () => {});
    destination.destroy(error as Error);
  };
  const write = (message: T) => {
    try {
      return destination.write(message);
    } catch (error) {
      // The source fails with this error, so `fail` comes before the loop is left, which destroys the source without
      // one.
      fail(error);
      throw error;
    }
  };
  destination.once("close", onClose);
  // A stream of this package shows its own errors, unless somebody listens, and closes after them.
  if (!(destination instanceof Emitter)) destination.once("error", onError);
  source.closed.catch(fail);
  try {
    for await (const message of source) {
      // A destination that was closed before has no "close" left to emit.
      if (destination.destroyed === true) source.destroy();
      else if (write(message) === false) await drained();
    }
    detach();
    if (end) destination.end();
  } catch (error) {
    fail(error);
  }
}
