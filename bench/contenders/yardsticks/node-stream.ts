import type { Duplex, Writable } from "node:stream";
import { finished } from "node:stream/promises";
import type { BenchStream } from "../../contender.ts";

const highWaterMarkBytes = 262_144;

/** The writing half of a stream, on a `Writable` of Node. Messages that are written in one turn go out in one piece. */
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
      // A corked request that the kernel then takes at once emits no "drain", but it calls back.
      drained = new Promise((resolve) => writable.write(message, () => resolve()));
      return false;
    },
    drained: () => drained,
    end: () => void writable.end(),
  };
}

/** Adapts a `Duplex` of Node. */
export function nodeStream(duplex: Duplex): BenchStream {
  duplex.on("end", () => duplex.end());
  return {
    ...nodeWriter(duplex),
    receive: (onBytes) => void duplex.on("data", onBytes),
    pause: () => void duplex.pause(),
    closed: finished(duplex),
  };
}
