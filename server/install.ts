import type { Server as HttpServer } from "node:http";
import { superviseSessions } from "./http2-sessions.js";
import type { RelayLimits } from "./limits.js";
import type { NodeRequest, NodeResponse, NodeServer } from "./node-server.js";

type Handler = (request: NodeRequest, response: NodeResponse, next?: () => void) => void;

/** Events in which Node hands out a request with its response. */
const requestEvents = new Set<string | symbol>(["request", "checkContinue", "checkExpectation"]);

/**
 * Puts a handler in front of a server's own request listeners, whenever these are added. Returns what takes it off again.
 */
export function install(server: NodeServer, handler: Handler, limits: RelayLimits): () => void {
  const emit = server.emit;
  const inFront = function (this: NodeServer, event: string | symbol, ...args: unknown[]): boolean {
    if (!requestEvents.has(event)) return Reflect.apply(emit, this, [event, ...args]);
    const [request, response] = args as [NodeRequest, NodeResponse];
    handler(request, response, () => {
      // Ours is the one listener that is always there.
      if (server.listenerCount(event) > (event === "request" ? 1 : 0)) Reflect.apply(emit, this, [event, ...args]);
      else handler(request, response);
    });
    return true;
  };
  server.emit = inFront as typeof server.emit;
  // An http2 server makes request and response objects only while somebody listens for them.
  const listener = () => {};
  (server as HttpServer).on("request", listener);
  const stopSupervising = superviseSessions(server, limits.heartbeatIntervalMs);
  return () => {
    if (server.emit === inFront) server.emit = emit;
    (server as HttpServer).off("request", listener);
    stopSupervising();
  };
}
