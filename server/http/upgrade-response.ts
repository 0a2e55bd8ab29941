import { type IncomingMessage, ServerResponse } from "node:http";
import type { Socket } from "node:net";
import type { Duplex } from "node:stream";

/** Returns the response to a request for an upgrade that is not upgraded. Its connection is closed behind it. */
export function upgradeResponse(request: IncomingMessage, connection: Duplex): ServerResponse {
  // Node listens to the connection no more, and its client may reset it at any time.
  connection.on("error", () => {});
  const response = new ServerResponse(request);
  response.shouldKeepAlive = false;
  // The connections of Node's servers are sockets, with TLS or without.
  response.assignSocket(connection as Socket);
  // A peer that keeps its half open must not keep the connection.
  response.once("finish", () => (connection as Socket).destroySoon());
  return response;
}
