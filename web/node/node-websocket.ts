import type { Transport } from "@connectrpc/connect";
import { type ClientOptions, WebSocket } from "ws";
import { linkProtocol } from "../../link/packet/link-message.js";
import type { LinkSocketLike, SocketFactory } from "../link/websocket-link.js";
import type { RelayUrl } from "../transport/relay-url.js";
import { openWebSocketTransport, type WebSocketTransportOptions } from "../transport/websocket-transport.js";
import { basicCredentials } from "./basic-credentials.js";

/** A relay answers a close at once. One that does not is not waited for, so that a program can end. */
const closeTimeoutMs = 1_000;

/**
 * Makes WebSockets that send a relay's user and password, know the status with which a handshake was refused, and let
 * the process end while they are idle. Node's own `WebSocket` can do none of these.
 */
export function nodeSockets(relay: RelayUrl): SocketFactory {
  const options: ClientOptions & { closeTimeout: number } = {
    // Streams are often compressed already, and a compressor takes memory for each socket.
    perMessageDeflate: false,
    closeTimeout: closeTimeoutMs,
    headers: basicCredentials(relay),
  };
  return (url) => {
    const socket = new WebSocket(url, linkProtocol, options);
    const like = socket as unknown as LinkSocketLike;
    // `ws` masks bytes into memory of its own, unless the mask is zero.
    like.isMemoryFree = () => socket.bufferedAmount === 0;
    socket.on("unexpected-response", (_request, { statusCode }) => {
      like.refusedWith = statusCode;
      socket.terminate();
    });
    socket.once("upgrade", ({ socket: connection }) => {
      like.hold = (isHeld) => void (isHeld ? connection.ref() : connection.unref());
    });
    return like;
  };
}

/** {@link openWebSocketTransport} in Node. */
export function createWebSocketTransport(options: WebSocketTransportOptions): Transport {
  return openWebSocketTransport(options, nodeSockets);
}
