import { type Stream, StreamClient, StreamServer, type TransportLike } from "browser-stream-server";

/** A stream through a proxy, both of its ends. */
export interface Pair {
  there: Stream;
  here: Stream;
  end(): Promise<void>;
}

/** Both ends over one transport, as if in one tab. */
export async function openPair(transport: TransportLike, name: string): Promise<Pair> {
  const server = StreamServer(transport).listen(name);
  await server.ready;
  const there = StreamClient(transport).connect(name);
  const { value: here } = await server[Symbol.asyncIterator]().next();
  return {
    there,
    here: here!,
    async end() {
      there.destroy();
      here!.destroy();
      await server.end();
    },
  };
}

/** Sends the message over the stream from one end, and gives what comes out at the other. */
export async function pass(from: Stream, to: Stream, message: string): Promise<unknown> {
  const reader = to.readable.getReader();
  from.write(message);
  const { value } = await reader.read();
  reader.releaseLock();
  return value;
}
