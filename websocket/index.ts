import type { RawInput, RawMessage } from "../stream/codec.js";
import type { Stream } from "../stream/stream.js";
import { StreamWebSocket } from "./stream-web-socket.js";

export type {
  ServerSocketEvents,
  StreamCloseEvent,
  StreamErrorEvent,
  StreamWebSocket,
  WebSocketData,
} from "./stream-web-socket.js";
export { type WebSocketClass, webSocketOf } from "./web-socket-of.js";

/**
 * Gives a stream the shape of a WebSocket, for a program that takes one. It works at both ends: with the stream of
 * `connect`, and with one that a listener got, which it accepts.
 *
 * - The stream has the default codec, and its messages are the socket's to read from now on.
 * - `protocol` is the subprotocol that a listener has chosen. Default: the first one that the client asked for.
 * - Close the socket, or the stream.
 *
 * @example
 * import { newWebSocketRpcSession } from "capnweb";
 * StreamServer(relayUrl, (stream) => void newWebSocketRpcSession(asWebSocket(stream), new Calculator())).listen("calculator");
 */
export function asWebSocket(
  stream: Stream<RawMessage, RawInput>,
  options: { protocol?: string | undefined } = {},
): StreamWebSocket {
  return new StreamWebSocket(stream, options);
}
