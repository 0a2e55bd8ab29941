import { type RawInput, StreamClient } from "browser-stream-server";
import { failureLine } from "./failure-line.ts";
import type { Place } from "./program.ts";

const maxChunkBytes = 32_768;
const exitCodeInterrupted = 130;

async function* linesOf(input: AsyncIterable<Uint8Array>): AsyncGenerator<string> {
  const decoder = new TextDecoder();
  let rest = "";
  for await (const bytes of input) {
    const lines = (rest + decoder.decode(bytes, { stream: true })).split("\n");
    rest = lines.pop() ?? "";
    yield* lines;
  }
  if (rest !== "") yield rest;
}

async function* chunksOf(input: AsyncIterable<Uint8Array>): AsyncGenerator<Uint8Array> {
  for await (const bytes of input) {
    for (let from = 0; from < bytes.byteLength; from += maxChunkBytes) yield bytes.slice(from, from + maxChunkBytes);
  }
}

async function send(writable: WritableStream<RawInput>, greeting: string, input: AsyncIterable<RawInput>) {
  const writer = writable.getWriter();
  writer.closed.catch(() => {});
  await writer.write(greeting);
  for await (const message of input) await writer.write(message);
  await writer.close();
}

/** Sends its input, prints what comes back, and ends when both sides have finished. */
export async function client({ language, args, input, interrupted, stdout, stderr }: Place): Promise<number> {
  const binary = args.includes("--binary");
  const [relay, name = "", password] = args.filter((arg) => arg !== "--binary");
  const metadata: Record<string, string> = password === undefined ? {} : { password };
  const stream = StreamClient(`http://${relay}`).connect(name, { metadata, signal: interrupted });
  const sending = send(stream.writable, `hello from ${language}`, binary ? chunksOf(input) : linesOf(input));
  // If the stream fails, the loop below throws its error. The input may never end.
  sending.catch(() => {});
  try {
    for await (const message of stream) {
      if (typeof message !== "string") stdout(message);
      else if (binary) stderr(`${message}\n`);
      else stdout(`${message}\n`);
    }
    await sending;
    await stream.closed;
    return 0;
  } catch (reason) {
    if (interrupted.aborted) return exitCodeInterrupted;
    stderr(`${failureLine(reason)}\n`);
    return 1;
  }
}
