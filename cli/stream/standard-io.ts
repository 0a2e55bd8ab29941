import type { Readable } from "node:stream";
import { Deferred } from "../../stream/platform/deferred.js";
import type { Stream } from "../../web/node.js";
import { print } from "../terminal/output.js";
import { noticeSuspensions } from "../terminal/suspension-notice.js";
import { Meter } from "./meter.js";
import { showProgress } from "./progress-line.js";
import { standardInput } from "./standard-input.js";

type Input = { kind: "chunk"; chunk: Uint8Array<ArrayBuffer> } | { kind: "end" };

/**
 * Standard input goes to the other side and what comes from there to standard output, until both are at their end and
 * everything has arrived. A person at a terminal need not end the input: the other side's end does it. Rejects with the
 * `StreamError` that ended the stream, with `OutputClosed`, or with what the system says of a standard stream.
 */
export async function transferStandardIo(stream: Stream): Promise<void> {
  const { stdin, stdout, stderr } = process;
  noticeSuspensions(stream);
  const input = standardInput();
  const meter = new Meter();
  // Where a person reads and types, a line of figures would be in the way.
  const isChat = stdin.isTTY && stdout.isTTY;
  const endProgress = isChat ? () => {} : showProgress(meter, stderr);
  const broken = new Deferred<never>();
  const breakOff = (reason: unknown): never => {
    // `broken` rejects first, because `stream.closed` would reject with the same reason as an error of the stream's
    // own.
    broken.reject(reason);
    stream.destroy(reason);
    throw reason;
  };
  try {
    const received = receive(stream, meter, breakOff);
    const end = (): Input => ({ kind: "end" });
    const hungUp = stdin.isTTY ? received.then(end, end) : undefined;
    const sent = send(stream, inputOf(input, hungUp, breakOff), meter);
    // A stream that fails is over, even while one of the two still waits for its standard stream.
    await Promise.race([broken.promise, Promise.all([stream.closed, received, sent])]);
  } finally {
    endProgress();
    input.destroy();
  }
}

async function send(stream: Stream, input: AsyncIterable<Uint8Array<ArrayBuffer>>, meter: Meter): Promise<void> {
  // Input is read only once a peer is there to take it.
  await stream.opened;
  const writer = stream.writable.getWriter();
  for await (const chunk of input) {
    await writer.write(chunk);
    meter.sentBytes += chunk.byteLength;
  }
  await writer.close();
}

/** The chunks of standard input, until its end or until the peer hangs up. */
async function* inputOf(
  input: Readable,
  hungUp: Promise<Input> | undefined,
  breakOff: (reason: unknown) => never,
): AsyncGenerator<Uint8Array<ArrayBuffer>> {
  const chunks: AsyncIterator<Uint8Array<ArrayBuffer>> = input[Symbol.asyncIterator]();
  const read = async (): Promise<Input> => {
    const { done, value } = await chunks.next().catch((cause: Error) => {
      return breakOff(new Error(`standard input cannot be read: ${cause.message}`, { cause }));
    });
    return done ? { kind: "end" } : { kind: "chunk", chunk: value };
  };
  let hangUp: ((end: Input) => void) | undefined;
  let ended: Input | undefined;
  void hungUp?.then((end) => {
    ended = end;
    hangUp?.(end);
  });
  for (;;) {
    // Not a race with `hungUp`: a promise that is not settled holds the result of every race that it was in.
    const next =
      ended ??
      (await new Promise<Input>((resolve, reject) => {
        hangUp = resolve;
        read().then(resolve, reject);
      }));
    if (next.kind === "end") return;
    yield next.chunk;
  }
}

async function receive(stream: Stream, meter: Meter, breakOff: (reason: unknown) => never): Promise<void> {
  for await (const message of stream) {
    await print(message).catch(breakOff);
    meter.receivedBytes += Buffer.byteLength(message);
  }
}
