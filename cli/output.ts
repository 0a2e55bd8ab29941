/** Standard output takes nothing more. */
export class OutputClosed extends Error {
  constructor() {
    super("standard output was closed");
  }
}

/**
 * Writes to standard output. Resolves when the operating system has it, so that nothing is left behind when the process ends;
 * rejects with `OutputClosed` when nobody reads any more, or with what the system says.
 */
export function print(data: string | Uint8Array): Promise<void> {
  return new Promise((resolve, reject) => {
    process.stdout.write(data, (error) => {
      if (!error) resolve();
      else reject((error as NodeJS.ErrnoException).code === "EPIPE" ? new OutputClosed() : error);
    });
  });
}
