import type { Server as HttpServer } from "node:http";
import { superviseSessions } from "./http2-sessions.js";
import type { RelayLimits } from "./limits.js";
import type { NodeRequest, NodeResponse, NodeServer } from "./node-server.js";

type Handler = (request: NodeRequest, response: NodeResponse, next?: () => void) => void;

/** Events in which Node hands out a request with its response. */
const requestEvents = new Set<string | symbol>(["request", "checkContinue", "checkExpectation"]);

/** What relays have put on servers: neither answers a request that is not the relay's. */
const placeholders = new WeakSet<object>();
/** Whether a relay, this one or one behind it, would answer. */
const relaysBehind = new WeakMap<object, () => boolean>();

/**
 * Puts a handler in front of a server's own request listeners, whenever these are added, and of other relays. Returns what
 * takes it off again.
 */
export function install(server: NodeServer, handler: Handler, limits: RelayLimits): () => void {
  const emit = server.emit;
  let current: Handler | undefined = handler;
  const inFront = function (this: NodeServer, event: string | symbol, ...args: unknown[]): boolean {
    const passOn = () => Reflect.apply(emit, this, [event, ...args]);
    if (current === undefined || !requestEvents.has(event)) return passOn();
    const [request, response] = args as [NodeRequest, NodeResponse];
    current(request, response, () => {
      const hasOthers = server.listeners(event).some((listener) => !placeholders.has(listener));
      if (hasOthers || relaysBehind.get(emit)?.()) passOn();
      else handler(request, response);
    });
    return true;
  };
  relaysBehind.set(inFront, () => current !== undefined || (relaysBehind.get(emit)?.() ?? false));
  server.emit = inFront as typeof server.emit;
  // An http2 server makes request and response objects only while somebody listens for them.
  const placeholder = () => {};
  placeholders.add(placeholder);
  (server as HttpServer).on("request", placeholder);
  const stopSupervising = superviseSessions(server, limits);
  return () => {
    // Another relay may have come in front meanwhile: then this one stays, and passes everything on.
    current = undefined;
    if (server.emit === inFront) server.emit = emit;
    (server as HttpServer).off("request", placeholder);
    stopSupervising();
  };
}
