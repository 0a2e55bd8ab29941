import type { Socket } from "node:net";
import { Code, type RawMessage, type Stream, StreamError } from "../../web/node.js";
import { resetSocket } from "./reset-socket.js";

/**
 * Makes one way of a TCP connection and a stream: bytes both ways at the pace of the slower, half-close as half-close,
 * and a reset as a reset. The socket must allow half-open. Resolves when both have finished; rejects with a
 * `StreamError` if either broke, when the other has been broken too.
 */
export async function bridge(socket: Socket, stream: Stream): Promise<void> {
  socket.setNoDelay();
  // Reading and writing the socket fail with the same error, so a listener has nothing to do.
  socket.on("error", () => {});
  try {
    await Promise.all([toStream(socket, stream), toSocket(stream, socket), stream.closed]);
  } catch (reason) {
    const error = reason instanceof StreamError ? reason : brokenSocketError(reason);
    stream.destroy(error);
    // After an orderly end, data that was cut short looks whole.
    resetSocket(socket);
    throw error;
  }
}

async function toStream(socket: Socket, stream: Stream): Promise<void> {
  // The socket is read only once a peer is there to take its bytes.
  await stream.opened;
  const writer = stream.writable.getWriter();
  for await (const chunk of socket) await writer.write(chunk);
  await writer.close();
}

async function toSocket(stream: Stream, socket: Socket): Promise<void> {
  for await (const message of stream) await write(socket, message);
  await new Promise<void>((resolve, reject) => {
    socket.end((error?: Error | null) => (error ? reject(error) : resolve()));
  });
}

/** Resolves when the operating system has the message. */
function write(socket: Socket, message: RawMessage): Promise<void> {
  return new Promise((resolve, reject) => {
    socket.write(message, (error) => (error ? reject(error) : resolve()));
  });
}

function brokenSocketError(cause: unknown): StreamError {
  const code = (cause as NodeJS.ErrnoException).code;
  return new StreamError(`the TCP connection broke (${code ?? String(cause)})`, { code: Code.Aborted, cause });
}
