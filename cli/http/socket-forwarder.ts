import { WebSocket } from "ws";
import { setForwarded } from "../../http/message/forwarded.js";
import { isHopByHop } from "../../http/message/head.js";
import { type Caller, Code, type RawMessage, type Stream, StreamError } from "../../web/node.js";
import { abnormalClosure, closureOf, normalClosure, noStatus } from "../../websocket/close-code.js";
import { closeStream } from "../../websocket/close-stream.js";
import { pathMetadata, protocolsMetadata } from "../../websocket/socket-metadata.js";
import type { HttpTarget } from "./http-target.js";

/** Less than the relay lets an offer wait, so that the client hears the reason. */
const handshakeTimeoutMs = 8_000;

/** Metadata that is no header, and headers that the handshake has by itself. */
const ownFields = /^(protocol|host|content-length|expect|trailer|sec-websocket-.*)$/;

/**
 * Opens a WebSocket to a local server for a stream whose client has the shape of one, and accepts the client when it is
 * open; otherwise declines it. Resolves when both have ended.
 */
export async function forwardSocket(stream: Stream, { authority }: HttpTarget): Promise<void> {
  // The end of the stream is told to the local server, and nobody else has to hear of it.
  stream.on("error", () => {});
  const socket = open(stream, authority);
  if (socket === undefined) return stream.reject(Code.InvalidArgument, "no WebSocket has such a path or subprotocol");
  // An error before the socket is open declines the client; a later one comes with a close code.
  socket.on("error", () => {});
  const closed = new Promise<{ code: number; reason: string }>((resolve) => {
    socket.on("close", (code, reason) => resolve({ code, reason: reason.toString() }));
  });
  // The first message may come with the head of the answer.
  receiveFrom(socket, stream);
  const hangUp = () => socket.terminate();
  stream.once("close", hangUp);
  const isOpen = await new Promise<boolean>((resolve) => {
    socket.on("open", () => resolve(true)).on("close", () => resolve(false));
    socket.on("unexpected-response", (request, { statusCode }) => {
      decline(stream, `the server behind this name has answered ${statusCode}`);
      request.destroy();
      socket.terminate();
      resolve(false);
    });
  });
  if (!isOpen) return decline(stream, "the server behind this name takes no WebSocket");
  stream.off("close", hangUp);
  const sent = sendTo(socket, stream);
  const { code, reason } = await closed;
  closeStream(stream, code === noStatus ? normalClosure : code, reason);
  await sent;
}

/** Begins the handshake. Undefined if the client has asked for what a WebSocket cannot have. */
function open({ metadata, caller }: Stream, authority: string): WebSocket | undefined {
  const { [pathMetadata]: path = "/", [protocolsMetadata]: protocols, ...others } = metadata;
  // A path without a slash would become a part of the host, which is not the client's to choose.
  if (!path.startsWith("/")) return undefined;
  try {
    return new WebSocket(`ws://${authority}${path}`, protocols?.split(/ *, */) ?? [], {
      headers: headersOf(others, caller),
      perMessageDeflate: false,
      handshakeTimeout: handshakeTimeoutMs,
      followRedirects: false,
    });
  } catch {
    return undefined;
  }
}

function decline(stream: Stream, reason: string): void {
  if (stream.state === "opening") stream.destroy(new StreamError(reason, { code: Code.Unavailable }));
}

/**
 * The headers of the handshake. The client's metadata has each under its name, as the gateway of a relay tells them.
 */
function headersOf(metadata: Record<string, string>, caller: Caller | undefined): Record<string, string> {
  const isHeader = ([name, value]: [string, string]) =>
    /^[\w-]+$/.test(name) && !ownFields.test(name) && !isOfConnection(name) && /^[\t\x20-\x7e\x80-\xff]*$/.test(value);
  // A client may write the name of a header in any case.
  const fields = Object.entries(metadata).map(([name, value]): [string, string] => [name.toLowerCase(), value]);
  const isOfConnection = isHopByHop(fields.find(([name]) => name === "connection")?.[1]);
  const headers = new Headers(fields.filter(isHeader));
  const scheme = metadata["x-forwarded-proto"] === "https" ? "https" : "http";
  setForwarded({ method: "GET", path: "/", headers, scheme, authority: metadata.host ?? "localhost" }, caller);
  return Object.fromEntries(headers);
}

/** The local server's messages go to the stream, at its pace. */
function receiveFrom(socket: WebSocket, stream: Stream): void {
  socket.on("message", (data: Buffer, isBinary: boolean) => {
    try {
      if (stream.write(isBinary ? data : data.toString())) return;
      socket.pause();
      stream.once("drain", () => socket.resume());
    } catch (reason) {
      // The message is larger than the client takes.
      stream.destroy(reason);
    }
  });
}

/** The stream's messages go to the local server, at its pace. */
async function sendTo(socket: WebSocket, stream: Stream): Promise<void> {
  try {
    for await (const message of stream) await send(socket, message);
    socket.close(normalClosure);
  } catch (reason) {
    const { code, reason: words } = closureOf(StreamError.from(reason));
    if (code === abnormalClosure) socket.terminate();
    else socket.close(code, words);
  }
}

/** Resolves when the operating system has the message; a socket that is closed meanwhile takes no more. */
function send(socket: WebSocket, message: RawMessage): Promise<void> {
  return new Promise((resolve) => socket.send(message, () => resolve()));
}
