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

/**
 * Destroys the connection of a request for an upgrade, and returns true, if the answer to a request before it is not
 * sent. Node hands the connection out all the same, and the answer would come in the midst of the upgraded protocol.
 */
export function destroyIfUnanswered(request: IncomingMessage, connection: Duplex): boolean {
  const probe = new ServerResponse(request);
  try {
    // Node throws for a connection that has a response already.
    probe.assignSocket(connection as Socket);
    probe.detachSocket(connection as Socket);
    return false;
  } catch {
    connection.on("error", () => {}).destroy();
    return true;
  }
}
