import { createReadStream, fstatSync, ReadStream } from "node:fs";
import { Socket } from "node:net";
import { Readable } from "node:stream";

/**
 * Standard input as a stream. Node's own `process.stdin` is empty for a descriptor of a kind that Node does not know,
 * such as a block device or a directory; those are read as the operating system reads them, to the end or to the error.
 */
export function standardInput(): Readable {
  const stdin: Readable = process.stdin;
  if (stdin instanceof Socket || stdin instanceof ReadStream) return stdin;
  // A socket of datagrams. A read that waits for one cannot be given up, and would keep the process.
  if (fstatSync(0).isSocket()) return unreadable("a socket of datagrams has no end");
  return createReadStream("", { fd: 0, autoClose: false });
}

function unreadable(message: string): Readable {
  return new Readable({
    read() {
      this.destroy(new Error(message));
    },
  });
}
