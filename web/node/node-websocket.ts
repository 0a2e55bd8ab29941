import type { Socket } from "node:net";
import type { Transport } from "@connectrpc/connect";
import * as ws from "ws";
import { linkProtocol } from "../../link/packet/link-message.js";
import type { LinkSocketLike, SocketFactory } from "../link/websocket-link.js";
import type { RelayUrl } from "../transport/relay-url.js";
import { openWebSocketTransport, type WebSocketTransportOptions } from "../transport/websocket-transport.js";
import { basicCredentials } from "./basic-credentials.js";
import { SendMemory } from "./send-memory.js";

/** Smaller messages are masked by `ws`, into memory that Node takes from a pool. */
const minReuseBytes = 4_096;
/** A relay answers a close at once. One that does not is not waited for, so that a program can end. */
const closeTimeoutMs = 1_000;

/** The part of `ws` that its types leave out: the frame of a message, which is masked in place unless `readOnly`. */
const { Sender } = ws as unknown as {
  Sender: {
    frame(
      data: Buffer,
      options: { fin: boolean; opcode: number; mask: boolean; readOnly: boolean; rsv1: boolean },
    ): [head: Buffer, data: Buffer];
  };
};
const binaryFrame = { fin: true, opcode: 2, mask: true, readOnly: false, rsv1: false };

/**
 * Makes WebSockets that send a relay's user and password, know the status with which a handshake was refused, and let
 * the process end while they are idle. Node's own `WebSocket` can do none of these.
 */
export function nodeSockets(relay: RelayUrl): SocketFactory {
  const options: ws.ClientOptions & { closeTimeout: number } = {
    // Streams are often compressed already, and a compressor takes memory for each socket.
    perMessageDeflate: false,
    closeTimeout: closeTimeoutMs,
    headers: basicCredentials(relay),
  };
  const memory = new SendMemory();
  return (url) => {
    const socket = new ws.WebSocket(url, linkProtocol, options);
    const like = socket as unknown as LinkSocketLike;
    socket.on("unexpected-response", (_request, { statusCode }) => {
      like.refusedWith = statusCode;
      socket.terminate();
    });
    socket.once("upgrade", ({ socket: connection }) => {
      like.hold = (isHeld) => void (isHeld ? connection.ref() : connection.unref());
      sendFrom(memory, socket, connection, like);
    });
    return like;
  };
}

/**
 * Has large messages masked in memory that is used again: `ws` makes new memory for each of them, whose collection took
 * a third of a sender's time. The messages of one turn go out together, because each write wakes the relay. `ws` hands
 * its own frames whole to the same connection, so that frames never mix.
 */
function sendFrom(memory: SendMemory, socket: ws.WebSocket, connection: Socket, like: LinkSocketLike): void {
  const sendByLibrary = socket.send.bind(socket);
  let isCopied = false;
  like.send = (message) => {
    const bytes = message as Uint8Array;
    if (connection.writableCorked === 0) {
      connection.cork();
      process.nextTick(uncork, connection);
    }
    isCopied = bytes.byteLength >= minReuseBytes && socket.readyState === socket.OPEN;
    if (!isCopied) return sendByLibrary(bytes);
    const copy = memory.take(bytes.byteLength);
    copy.set(bytes);
    const [head, masked] = Sender.frame(Buffer.from(copy.buffer, copy.byteOffset, copy.byteLength), binaryFrame);
    connection.write(head);
    connection.write(masked, (error) => {
      // Node may still hold the bytes of a write that failed.
      if (!error) memory.release(copy);
    });
  };
  // `ws` masks bytes into memory of its own, unless the mask is zero.
  like.isMemoryFree = () => isCopied || socket.bufferedAmount === 0;
}

function uncork(connection: Socket): void {
  connection.uncork();
}

/** {@link openWebSocketTransport} in Node. */
export function createWebSocketTransport(options: WebSocketTransportOptions): Transport {
  return openWebSocketTransport(options, nodeSockets);
}
