/** Anything with the writable face of Node's streams. */
export interface PipeDestination<T> {
  write(message: T): unknown;
  end(): unknown;
  once(event: "drain" | "close" | "error", listener: () => void): unknown;
  off(event: "drain" | "close" | "error", listener: () => void): unknown;
  destroy?(error?: Error): unknown;
  /** Node's: true once it takes nothing more. */
  readonly destroyed?: unknown;
}

interface PipeSource<T> extends AsyncIterable<T> {
  destroy(error?: unknown): unknown;
}

/**
 * Writes what `source` yields to `destination`, at its pace. A source that fails destroys the destination; a destination
 * that closes or fails destroys the source.
 */
export async function pipe<T>(source: PipeSource<T>, destination: PipeDestination<T>, end: boolean): Promise<void> {
  const onClose = () => source.destroy();
  const detach = () => {
    destination.off("close", onClose);
    destination.off("error", onClose);
  };
  destination.once("close", onClose);
  destination.once("error", onClose);
  try {
    for await (const message of source) {
      // One that was closed before has no "close" left to tell of it.
      if (destination.destroyed === true) source.destroy();
      else if (destination.write(message) === false) await drained(destination);
    }
    detach();
    if (end) destination.end();
  } catch (error) {
    detach();
    if (destination.destroy === undefined) return;
    // Nobody has to listen for what is the source's error.
    destination.once("error", () => {});
    destination.destroy(error as Error);
  }
}

function drained(destination: PipeDestination<never>): Promise<void> {
  return new Promise((resolve) => {
    const done = () => {
      destination.off("drain", done);
      destination.off("close", done);
      destination.off("error", done);
      resolve();
    };
    destination.once("drain", done);
    destination.once("close", done);
    destination.once("error", done);
  });
}
