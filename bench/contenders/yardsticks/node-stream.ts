import type { Duplex, Writable } from "node:stream";
import { finished } from "node:stream/promises";
import type { BenchStream } from "../../contender.ts";

const highWaterMarkBytes = 262_144;

/** The writing half over a writable of Node's. What is written in one turn goes out in one piece. */
export function nodeWriter(writable: Writable): Pick<BenchStream, "write" | "drained" | "end"> {
  let isCorked = false;
  let drained = Promise.resolve();
  const uncork = () => {
    isCorked = false;
    writable.uncork();
  };
  return {
    write(message) {
      if (!isCorked) {
        isCorked = true;
        writable.cork();
        process.nextTick(uncork);
      }
      if (writable.writableLength + message.byteLength < highWaterMarkBytes) {
        writable.write(message);
        return true;
      }
      // "drain" does not come for requests that were corked and then taken by the kernel at once; the callback does.
      drained = new Promise((resolve) => writable.write(message, () => resolve()));
      return false;
    },
    drained: () => drained,
    end: () => void writable.end(),
  };
}

/** A duplex stream of Node's as a stream of bytes. */
export function nodeStream(duplex: Duplex): BenchStream {
  duplex.on("end", () => duplex.end());
  return {
    ...nodeWriter(duplex),
    receive: (onBytes) => void duplex.on("data", onBytes),
    pause: () => void duplex.pause(),
    closed: finished(duplex),
  };
}
