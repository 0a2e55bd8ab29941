import type { Server as HttpServer, IncomingMessage } from "node:http";
import type { IncomingHttpHeaders, ServerHttp2Stream } from "node:http2";
import type { Socket } from "node:net";
import type { Duplex } from "node:stream";
import { warnOfAcceptError, watchAccepting } from "./accepting.js";
import { type SupervisionInit, superviseSessions } from "./http2-sessions.js";
import type { NodeRequest, NodeResponse, NodeServer } from "./node-server.js";
import { closeTimeoutMs } from "./open-responses.js";
import { destroyIfUnanswered, upgradeResponse } from "./upgrade-response.js";

/**
 * The handlers that are put in front of a server's own. They call {@link sendContinue} for requests that they serve.
 */
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
  "the server that the relay is installed on was closed, and the relay was not: nobody reaches it there any more, " +
  "and its streams may keep the server from ending";

/** Empty listeners that relays have put on servers. They answer nothing, so they do not count as the server's own. */
const placeholders = new WeakSet<object>();
/**
 * For the `emit` that a relay has put on a server: tells whether that relay, or one installed before it, is still
 * there.
 */
const relaysBehind = new WeakMap<object, () => boolean>();

/** Requests whose callers wait for "100 Continue" before they send a body. */
const expecting = new WeakSet<NodeRequest>();

/** Whether the caller of a request waits for "100 Continue", and has sent nothing of a body. */
export function isExpecting(request: NodeRequest): boolean {
  return expecting.has(request);
}

/** Has the caller of a request send its body, if it waits for "100 Continue". */
export function sendContinue(request: NodeRequest, response: NodeResponse): void {
  if (expecting.delete(request)) response.writeContinue();
}

/**
 * Puts handlers in front of a server's own listeners for requests and upgrades, whenever these are added, and of other
 * relays. Warns when the server gets no connections any more. Returns a function that takes the handlers off again.
 */
export function install(server: NodeServer, handlers: FrontHandlers, relay: SupervisionInit): () => void {
  const { clock, warnings } = relay;
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
    if (current !== undefined && event === "stream" && isResetCall(current, args)) {
      // Its error comes in a later turn, and is no news.
      (args[0] as ServerHttp2Stream).on("error", () => {});
      return true;
    }
    if (current !== undefined && requestEvents.has(event)) {
      const [request, response] = args as [NodeRequest, NodeResponse];
      const isWaiting = event === "checkContinue";
      if (isWaiting) expecting.add(request);
      current.request(request, response, () => {
        if (hasOthers(event)) return passOn();
        if (!isWaiting) return handlers.request(request, response);
        // Node does the same for a server without listeners for "checkContinue".
        sendContinue(request, response);
        Reflect.apply(this.emit, this, ["request", request, response]);
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
  const warnOfClose = () => warnings.warn({ kind: "server-closed" }, serverClosed);
  let cancelWarning = () => {};
  const closeAndWarn = function (this: NodeServer, ...args: unknown[]): unknown {
    if (current !== undefined) cancelWarning = clock.after(closeTimeoutMs, warnOfClose);
    return Reflect.apply(close, this, args);
  };
  const onClose = () => {
    cancelWarning();
    // A listener of the application's may close the relay in the same turn.
    setImmediate(() => {
      if (current !== undefined) warnOfClose();
    });
  };
  server.on("close", onClose);
  server.close = closeAndWarn as typeof server.close;
  // Without listeners, an http2 server makes no request and response objects, an http server takes a request for an
  // upgrade for an ordinary one, and both send "100 Continue" before anybody has seen the request.
  const placeholder = () => {};
  placeholders.add(placeholder);
  const placeholderEvents = ["request", "upgrade", "checkContinue"];
  for (const event of placeholderEvents) (server as HttpServer).on(event, placeholder);
  const restoreUpgrades = narrowUpgrades(
    server,
    (request) => current?.upgrades(request) === true,
    () => hasOthers("upgrade"),
  );
  const stopWatching = watchAccepting(server as HttpServer, warnings);
  const stopSupervising = superviseSessions(server, relay);
  return () => {
    // If another relay was installed later, this `emit` stays behind it, and passes everything on.
    current = undefined;
    if (server.emit === inFront) server.emit = emit;
    if (server.close === closeAndWarn) server.close = close;
    server.off("close", onClose);
    cancelWarning();
    for (const event of placeholderEvents) (server as HttpServer).off(event, placeholder);
    restoreUpgrades();
    stopWatching();
    stopSupervising();
  };
}

/**
 * Whether a stream of HTTP/2 is a call of the relay's that its client has reset before it was begun. One read of the
 * network may bring 2,000 of them, and the objects that Node makes for a request are half of their cost.
 */
function isResetCall({ serves }: FrontHandlers, [stream, headers]: unknown[]): boolean {
  if (!(stream as ServerHttp2Stream).destroyed) return false;
  return serves({ url: (headers as IncomingHttpHeaders)[":path"], headers } as NodeRequest);
}

/**
 * From 22.21 and 24.9 on, Node asks `shouldUpgradeCallback` whether a request for an upgrade is handed out as one; all
 * others are ordinary requests. Java's HTTP client asks for an upgrade with its first request, whatever that is. The
 * relay's own upgrades are always handed out; a callback that was there before decides about the others.
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

/**
 * Where Node hands out all upgrades: serves a request that nobody upgrades as an ordinary one, and closes its
 * connection afterwards.
 */
function serveAsRequest(server: NodeServer, request: IncomingMessage, connection: Socket): void {
  if (destroyIfUnanswered(request, connection)) return;
  server.emit("request", request, upgradeResponse(request, connection));
}
