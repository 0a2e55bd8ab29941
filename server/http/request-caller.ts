import type { IncomingMessage } from "node:http";
import type { Caller, Door } from "../admission/caller.js";
import type { NodeRequest } from "./node-server.js";

/** Returns who sends a request, as its connection and its Origin header say. */
export function requestCaller(
  request: NodeRequest | IncomingMessage,
  door: Extract<Door, "http" | "websocket">,
): Caller {
  // In HTTP/2 the socket of a request is a stand-in, which throws once the connection is over.
  const socket = "stream" in request ? request.stream.session?.socket : request.socket;
  return { origin: request.headers.origin ?? "", address: socket?.remoteAddress ?? "", door };
}
