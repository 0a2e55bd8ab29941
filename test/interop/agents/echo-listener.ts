import { Code, type Stream, StreamError, StreamServer } from "browser-stream-server";
import { failureLine, failureWords } from "./failure-line.ts";
import type { Place } from "./program.ts";

const encoder = new TextEncoder();

async function sha256(parts: Uint8Array<ArrayBuffer>[]): Promise<string> {
  const digest = new Uint8Array(await crypto.subtle.digest("SHA-256", await new Blob(parts).arrayBuffer()));
  return Array.from(digest, (byte) => byte.toString(16).padStart(2, "0")).join("");
}

/** Greets, sends back what comes, and sums it up after the client's fin. */
async function echo(stream: Stream, language: string): Promise<void> {
  const writer = stream.writable.getWriter();
  // Sending fails when the stream does, and the reading loop throws that error.
  writer.closed.catch(() => {});
  await writer.write(`hello from ${language}`);
  const parts: Uint8Array<ArrayBuffer>[] = [];
  for await (const message of stream) {
    parts.push(typeof message === "string" ? encoder.encode(message) : (message as Uint8Array<ArrayBuffer>));
    await writer.write(message);
  }
  const bytes = parts.reduce((sum, part) => sum + part.byteLength, 0);
  await writer.write(`${parts.length} messages, ${bytes} bytes, sha256 ${await sha256(parts)}`);
  await writer.close();
  await stream.closed;
}

/** Listens on a name until it is killed. */
export async function listener({ language, args, stdout, stderr }: Place): Promise<number> {
  const [relay, name = "", password] = args;
  const server = StreamServer(`http://${relay}`, async (stream: Stream) => {
    if (password !== undefined && stream.metadata.password !== password) {
      stream.reject(Code.PermissionDenied, "wrong password");
      stdout("declined\n");
      return;
    }
    try {
      await echo(stream, language);
      stdout("ended\n");
    } catch (reason) {
      stdout(`ended ${failureWords(StreamError.from(reason))}\n`);
    }
  }).listen(name);
  try {
    await server.ready;
    stdout("listening\n");
    await server.closed;
    return 0;
  } catch (reason) {
    stderr(`${failureLine(reason)}\n`);
    return 1;
  }
}
