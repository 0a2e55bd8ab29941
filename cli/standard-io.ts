import type { RawMessage, Stream } from "../web/node.js";
import { OutputClosed } from "./exit-code.js";
import { Meter } from "./meter.js";
import { showProgress } from "./progress-line.js";

type Input = { kind: "chunk"; chunk: Uint8Array<ArrayBuffer> } | { kind: "end" };

/**
 * Standard input goes to the other side and what comes from there to standard output, until both are at their end and
 * everything has arrived. A person at a terminal need not end the input: the other side's end does it. Rejects with the
 * `StreamError` that ended the stream, or with `OutputClosed`.
 */
export async function transferStandardIo(stream: Stream): Promise<void> {
  const { stdin: input, stdout: output, stderr } = process;
  const meter = new Meter();
  // Where a person reads and types, a line of figures would be in the way.
  const isChat = input.isTTY && output.isTTY;
  const endProgress = isChat ? () => {} : showProgress(meter, stderr);
  try {
    const received = receive(stream, output, meter);
    const end = (): Input => ({ kind: "end" });
    const hungUp = input.isTTY ? received.then(end, end) : undefined;
    await Promise.all([received, send(stream, input, meter, hungUp)]);
    await stream.closed;
  } finally {
    endProgress();
    input.destroy();
  }
}

async function send(
  stream: Stream,
  input: NodeJS.ReadStream,
  meter: Meter,
  hungUp: Promise<Input> | undefined,
): Promise<void> {
  const writer = stream.writable.getWriter();
  const chunks: AsyncIterator<Uint8Array<ArrayBuffer>> = input[Symbol.asyncIterator]();
  const read = async (): Promise<Input> => {
    const { done, value } = await chunks.next();
    return done ? { kind: "end" } : { kind: "chunk", chunk: value };
  };
  try {
    for (;;) {
      const next = await (hungUp === undefined ? read() : Promise.race([read(), hungUp]));
      if (next.kind === "end") break;
      await writer.write(next.chunk);
      meter.sentBytes += next.chunk.byteLength;
    }
    await writer.close();
  } catch (reason) {
    // Standard input failed, or the stream did, which then has its own reason.
    stream.destroy(reason);
    throw reason;
  }
}

async function receive(stream: Stream, output: NodeJS.WriteStream, meter: Meter): Promise<void> {
  // The write that fails says so itself.
  output.on("error", () => {});
  for await (const message of stream) {
    try {
      await write(output, message);
    } catch (cause) {
      const reason = (cause as NodeJS.ErrnoException).code === "EPIPE" ? new OutputClosed() : cause;
      stream.destroy(reason);
      throw reason;
    }
    meter.receivedBytes += Buffer.byteLength(message);
  }
}

/** Resolves when the operating system has the message, so that nothing is left behind when the process ends. */
function write(output: NodeJS.WriteStream, message: RawMessage): Promise<void> {
  return new Promise((resolve, reject) => {
    output.write(message, (error) => (error ? reject(error) : resolve()));
  });
}
