import { once } from "node:events";
import { createServer, type Server } from "node:http";
import type { AddressInfo } from "node:net";
import type { Duplex } from "node:stream";
import { create, toBinary } from "@bufbuild/protobuf";
import { type ConnectRouter, createConnectRouter } from "@connectrpc/connect";
import { LinkMessageSchema } from "browser-stream-server/gen";
import { type WebSocket, WebSocketServer } from "ws";
import { linkProtocol } from "../../link/packet/link-message.js";
import { Admission } from "../../server/admission/admission.js";
import { defaultLimits } from "../../server/admission/limits.js";
import { Warnings } from "../../server/admission/warnings.js";
import { requestCaller } from "../../server/http/request/request-caller.js";
import { TrustedProxies } from "../../server/http/request/trusted-proxies.js";
import { LinkSockets } from "../../server/link/link-sockets.js";
import { Links, type LinksInit } from "../../server/link/links.js";
import { RelayEvents } from "../../server/relay/relay-events.js";
import { TokenSigner } from "../../server/relay/token.js";
import { systemClock } from "../../stream/platform/system-clock.js";

async function listen(server: Server): Promise<string> {
  server.listen(0, "127.0.0.1");
  await once(server, "listening");
  return `http://127.0.0.1:${(server.address() as AddressInfo).port}`;
}

async function end(server: Server): Promise<void> {
  await new Promise((resolve) => server.close(resolve));
}

/** A WebSocket that is not a relay's, in the test's hand. */
export async function openSocketServer(onSocket: (socket: WebSocket) => void) {
  const server = createServer();
  const sockets = new WebSocketServer({ server, handleProtocols: () => linkProtocol });
  sockets.on("connection", onSocket);
  const url = await listen(server);
  return {
    url,
    async close() {
      for (const socket of sockets.clients) socket.terminate();
      sockets.close();
      await end(server);
    },
  };
}

/** Returns the first message of a relay. */
export function openedMessage(heartbeatIntervalMs = 15_000): Uint8Array {
  const opened = { maxChannels: 8, maxPacketBytes: 65_536, maxBatchBytes: 65_536, heartbeatIntervalMs };
  return toBinary(LinkMessageSchema, create(LinkMessageSchema, { opened }));
}

/** Services that are reached over the WebSocket of a link, and over nothing else. */
export async function openLinkServer(routes: (router: ConnectRouter) => void, init: Partial<LinksInit> = {}) {
  const router = createConnectRouter();
  routes(router);
  const warnings = new Warnings(systemClock, () => {});
  const admission = new Admission({ limits: defaultLimits, clock: systemClock, warnings });
  const relay = { limits: defaultLimits, clock: systemClock, warnings, admission };
  const links = new Links({
    ...relay,
    events: new RelayEvents(),
    signer: new TokenSigner(),
    handlers: router.handlers,
    ...init,
  });
  const sockets = new LinkSockets(links, relay);
  const connections: Duplex[] = [];
  const server = createServer().on("upgrade", (request, connection, head) => {
    connections.push(connection);
    sockets.upgrade(request, connection, head, requestCaller(request, "websocket", new TrustedProxies()));
  });
  const url = await listen(server);
  return {
    url,
    /** The connections of all WebSockets so far. */
    connections,
    links,
    async close() {
      for (const connection of connections) connection.destroy();
      await end(server);
    },
  };
}
