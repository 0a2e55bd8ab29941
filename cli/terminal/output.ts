import { fstatSync, readSync, statSync, writeSync } from "node:fs";
import { Socket } from "node:net";
import { devNull } from "node:os";

/** Nobody reads standard output any more, or nobody was to. */
export class OutputClosed extends Error {
  constructor(message = "standard output was closed") {
    super(message);
  }
}

const descriptor = 1;

/**
 * Writes to standard output. Resolves when the operating system has it, so that nothing is left behind when the process
 * ends; rejects with `OutputClosed` when nobody reads any more, or with what the system says.
 */
export async function print(data: string | Uint8Array): Promise<void> {
  try {
    await write(data);
  } catch (cause) {
    if (cause instanceof OutputClosed) throw cause;
    throw new Error(`standard output cannot be written: ${(cause as Error).message}`, { cause });
  }
}

async function write(data: string | Uint8Array): Promise<void> {
  const { stdout } = process;
  // Node writes to a pipe, a socket or a terminal. Files and devices are written to here, because Node drops the rest
  // of a write of which only a part was taken, and everything for a kind of descriptor that it does not know, such as a
  // block device.
  if (stdout instanceof Socket) await writeToSocket(stdout, data);
  else writeToDescriptor(typeof data === "string" ? Buffer.from(data) : data);
}

function writeToSocket(socket: Socket, data: string | Uint8Array): Promise<void> {
  return new Promise((resolve, reject) => {
    socket.write(data, (error) => {
      if (!error) resolve();
      else reject((error as NodeJS.ErrnoException).code === "EPIPE" ? new OutputClosed() : error);
    });
  });
}

function writeToDescriptor(data: Uint8Array): void {
  if (data.byteLength > 0 && isReplaced()) {
    throw new OutputClosed(`standard output is closed; what is to be dropped goes to >${devNull}`);
  }
  for (let written = 0; written < data.byteLength; ) written += writeSync(descriptor, data, written);
}

let replaced: boolean | undefined;

/**
 * Returns whether standard output was closed when the program began. Node has then opened the null device in its place,
 * for reading and writing; a shell's >/dev/null opens it for writing only.
 */
function isReplaced(): boolean {
  replaced ??= isNullDevice() && isReadable();
  return replaced;
}

function isNullDevice(): boolean {
  const output = fstatSync(descriptor);
  return output.isCharacterDevice() && output.rdev === statSync(devNull).rdev;
}

function isReadable(): boolean {
  try {
    readSync(descriptor, new Uint8Array(1));
    return true;
  } catch {
    return false;
  }
}
