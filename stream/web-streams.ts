import type { Endpoint } from "./endpoint/endpoint.js";

/** The parts of a stream that its WHATWG face is made of. */
export interface WebStreamsSource<Out, In> {
  endpoint: Endpoint;
  pull(): Promise<IteratorResult<Out, undefined>>;
  write(message: In): unknown;
  end(): unknown;
  destroy(error: unknown): unknown;
  /** Ends the stream because this side has no use for it any more. */
  cancel(reason: unknown): unknown;
  /** Resolves at the next change that may have made room. */
  roomChanged(): Promise<void>;
  /** Resolves when the peer has everything. */
  finished: Promise<void>;
  closed: Promise<void>;
}

/** Messages that are pulled at the reader's pace: none waits in the stream itself. A failure errors it at once. */
export function createReadable<Out>(source: WebStreamsSource<Out, never>): ReadableStream<Out> {
  return new ReadableStream<Out>(
    {
      start(controller) {
        source.closed.catch((error: unknown) => controller.error(error));
      },
      async pull(controller) {
        const { done, value } = await source.pull();
        if (done) controller.close();
        else controller.enqueue(value as Out);
      },
      cancel(reason) {
        source.cancel(reason);
      },
    },
    { highWaterMark: 0 },
  );
}

/** Writes that resolve when there is room for another, and a close that resolves when everything has arrived. */
export function createWritable<In>(source: WebStreamsSource<unknown, In>): WritableStream<In> {
  const { endpoint } = source;
  return new WritableStream<In>({
    start(controller) {
      source.closed.catch((error: unknown) => controller.error(error));
    },
    async write(message) {
      try {
        source.write(message);
      } catch (reason) {
        // This face takes no more writes after one that failed: nobody could end the stream any more.
        source.destroy(reason);
        throw reason;
      }
      while (endpoint.state.kind === "open" && endpoint.pressed) await source.roomChanged();
      const { state } = endpoint;
      if (state.kind === "failed" || state.kind === "resetting") throw state.error;
    },
    close() {
      source.end();
      return source.finished;
    },
    abort(reason) {
      source.cancel(reason);
    },
  });
}
