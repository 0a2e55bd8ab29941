import { type Server as HttpServer, type IncomingMessage, ServerResponse } from "node:http";
import type { Socket } from "node:net";
import type { Duplex } from "node:stream";
import { warnOfAcceptError, watchAccepting } from "./accepting.js";
import { type SupervisionInit, superviseSessions } from "./http2-sessions.js";
import type { NodeRequest, NodeResponse, NodeServer } from "./node-server.js";

/** What is put in front of a server. */
export interface FrontHandlers {
  request(request: NodeRequest, response: NodeResponse, next?: () => void): void;
  upgrade(request: IncomingMessage, connection: Duplex, head: Buffer, next?: () => void): void;
  /** Whether `request` takes a request, and does not call `next`. */
  serves(request: NodeRequest): boolean;
  /** Whether `upgrade` takes a request, and does not call `next`. */
  upgrades(request: IncomingMessage): boolean;
}

type ShouldUpgrade = (this: NodeServer, request: IncomingMessage) => boolean;

/** Events in which Node hands out a request with its response. */
const requestEvents = new Set<string | symbol>(["request", "checkContinue", "checkExpectation"]);

const serverClosed =
  "the server that the relay is installed on was closed, and the relay was not: it takes no new connections there, and " +
  "the server ends when the last stream does, unless the relay is closed too";

/** What relays have put on servers: neither answers a request that is not the relay's. */
const placeholders = new WeakSet<object>();
/** Whether a relay, this one or one behind it, would answer. */
const relaysBehind = new WeakMap<object, () => boolean>();

/**
 * Puts handlers in front of a server's own listeners for requests and upgrades, whenever these are added, and of other relays.
 * Warns when the server gets no connections any more. Returns a function that takes the handlers off again.
 */
export function install(
  server: NodeServer,
  handlers: FrontHandlers,
  { limits, clock, warnings }: SupervisionInit,
): () => void {
  const emit = server.emit;
  const close = server.close;
  let current: FrontHandlers | undefined = handlers;
  const hasOthers = (event: string | symbol) =>
    server.listeners(event).some((listener) => !placeholders.has(listener)) || relaysBehind.get(emit)?.() === true;
  const inFront = function (this: NodeServer, event: string | symbol, ...args: unknown[]): boolean {
    const passOn = () => Reflect.apply(emit, this, [event, ...args]);
    if (current !== undefined && event === "error" && warnOfAcceptError(args[0], warnings)) {
      return server.listenerCount("error") > 0 ? passOn() : true;
    }
    if (current !== undefined && requestEvents.has(event)) {
      const [request, response] = args as [NodeRequest, NodeResponse];
      // Where the server listens for this itself, Node leaves it to whoever takes the request.
      if (event === "checkContinue" && current.serves(request)) response.writeContinue();
      current.request(request, response, () => {
        if (hasOthers(event)) passOn();
        else handlers.request(request, response);
      });
      return true;
    }
    if (event !== "upgrade") return passOn();
    const [request, connection, head] = args as [IncomingMessage, Socket, Buffer];
    const next = () => {
      if (hasOthers(event)) passOn();
      else serveAsRequest(this, request, connection);
    };
    if (current === undefined) next();
    else current.upgrade(request, connection, head, next);
    return true;
  };
  relaysBehind.set(inFront, () => current !== undefined || (relaysBehind.get(emit)?.() ?? false));
  server.emit = inFront as typeof server.emit;
  const closeAndWarn = function (this: NodeServer, ...args: unknown[]): unknown {
    // Most close the relay in the same turn, before or after the server.
    setImmediate(() => {
      if (current !== undefined) warnings.warn({ kind: "server-closed" }, serverClosed);
    });
    return Reflect.apply(close, this, args);
  };
  server.close = closeAndWarn as typeof server.close;
  // An http2 server makes request and response objects only while somebody listens for them; an http server sees a request for
  // an upgrade only then.
  const placeholder = () => {};
  placeholders.add(placeholder);
  for (const event of ["request", "upgrade"]) (server as HttpServer).on(event, placeholder);
  const restoreUpgrades = narrowUpgrades(
    server,
    (request) => current?.upgrades(request) === true,
    () => hasOthers("upgrade"),
  );
  const stopWatching = watchAccepting(server as HttpServer, warnings);
  const stopSupervising = superviseSessions(server, { limits, clock, warnings });
  return () => {
    // Another relay may have come in front meanwhile: then this one stays, and passes everything on.
    current = undefined;
    if (server.emit === inFront) server.emit = emit;
    if (server.close === closeAndWarn) server.close = close;
    for (const event of ["request", "upgrade"]) (server as HttpServer).off(event, placeholder);
    restoreUpgrades();
    stopWatching();
    stopSupervising();
  };
}

/**
 * A server can be told which upgrades it is to hand out, from Node 22.21 and 24.9 on; the others are ordinary requests, as they
 * are where nobody listens for upgrades. Java's HTTP client asks for one with whatever it sends first. The relay's own need no
 * leave of whoever was asked before: they know nothing of it.
 */
function narrowUpgrades(
  server: NodeServer,
  isOwn: (request: IncomingMessage) => boolean,
  hasOthers: () => boolean,
): () => void {
  const narrowed = server as NodeServer & { shouldUpgradeCallback?: ShouldUpgrade };
  const before = narrowed.shouldUpgradeCallback;
  if (before === undefined) return () => {};
  const wanted: ShouldUpgrade = (request) =>
    isOwn(request) || (hasOthers() && Reflect.apply(before, server, [request]));
  narrowed.shouldUpgradeCallback = wanted;
  return () => {
    if (narrowed.shouldUpgradeCallback === wanted) narrowed.shouldUpgradeCallback = before;
  };
}

/** Where Node hands out all upgrades: what nobody upgrades is answered as if it had not asked, on a connection that is closed afterwards. */
function serveAsRequest(server: NodeServer, request: IncomingMessage, connection: Socket): void {
  const response = new ServerResponse(request);
  response.shouldKeepAlive = false;
  response.assignSocket(connection);
  // Who keeps the other half open would keep the connection.
  response.once("finish", () => connection.destroySoon());
  server.emit("request", request, response);
}
