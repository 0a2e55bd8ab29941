import { Failure, StreamClient, StreamError } from "browser-stream-server";

/**
 * Resolves when somebody listens on the name, for a listener that has no way to say so: connects until it is let in.
 */
export async function reachable(origin: string, name: string): Promise<void> {
  for (;;) {
    const stream = StreamClient(origin).connect(name);
    try {
      await stream.opened;
      stream.destroy();
      return;
    } catch (error) {
      if (!(error instanceof StreamError && error.failure === Failure.NO_SUCH_NAME)) throw error;
    }
  }
}
