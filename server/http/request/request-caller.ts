import type { IncomingMessage } from "node:http";
import type { Caller, Door } from "../../admission/caller.js";
import type { NodeRequest } from "../node-server.js";
import type { TrustedProxies } from "./trusted-proxies.js";

/** Returns who sends a request, as its connection, its Origin header and the proxies in front of the relay say. */
export function requestCaller(
  request: NodeRequest | IncomingMessage,
  door: Extract<Door, "http" | "websocket" | "gateway">,
  proxies: TrustedProxies,
): Caller {
  // In HTTP/2 the socket of a request is a stand-in, which throws once the connection is over.
  const socket = "stream" in request ? request.stream.session?.socket : request.socket;
  const address = proxies.addressOf(socket?.remoteAddress ?? "", request.headers["x-forwarded-for"]);
  return { origin: request.headers.origin ?? "", ...address, door };
}
