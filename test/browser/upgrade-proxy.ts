import { once } from "node:events";
import { createServer, request as httpRequest, type IncomingMessage, type ServerResponse } from "node:http";
import { type AddressInfo, connect } from "node:net";
import type { Duplex } from "node:stream";

/**
 * How a proxy treats a request for a WebSocket: it answers 403, never answers, makes an ordinary request of it, breaks
 * the first connection that asks, or passes the first one on after 3 s.
 */
export type UpgradeObstacle = "refuses" | "swallows" | "strips" | "cuts the first of" | "delays the first of";

const delayMs = 3_000;

/** A proxy in front of a relay that stands in the way of WebSockets. */
export interface UpgradeProxy {
  origin: string;
  /** How many WebSockets were asked for. */
  readonly upgrades: number;
  /** Breaks all connections there are. */
  cut(): void;
  close(): Promise<void>;
}

export async function openUpgradeProxy(relayOrigin: string, obstacle: UpgradeObstacle): Promise<UpgradeProxy> {
  const taken = new Set<Duplex>();
  let upgrades = 0;

  const server = createServer((request, response) => {
    if (request.headers.upgrade !== undefined) upgrades += 1;
    forward(relayOrigin, request, response);
  });
  if (obstacle !== "strips") {
    server.on("upgrade", (request, connection: Duplex, head) => {
      upgrades += 1;
      taken.add(connection);
      connection.on("error", () => {}).on("close", () => taken.delete(connection));
      if (obstacle === "refuses") {
        connection.end("HTTP/1.1 403 Forbidden\r\nContent-Length: 0\r\nConnection: close\r\n\r\n");
      } else if (obstacle === "cuts the first of" && upgrades === 1) connection.destroy();
      else if (obstacle === "delays the first of" && upgrades === 1) {
        const timer = setTimeout(() => forwardUpgrade(relayOrigin, request, connection, head), delayMs);
        connection.on("close", () => clearTimeout(timer));
      } else if (obstacle !== "swallows") forwardUpgrade(relayOrigin, request, connection, head);
    });
  }
  const cut = () => {
    for (const connection of taken) connection.destroy();
    server.closeAllConnections();
  };

  server.listen(0, "127.0.0.1");
  await once(server, "listening");
  return {
    origin: `http://127.0.0.1:${(server.address() as AddressInfo).port}`,
    get upgrades() {
      return upgrades;
    },
    cut,
    async close() {
      cut();
      await new Promise((resolve) => server.close(resolve));
    },
  };
}

/** Passes a WebSocket on, as bytes. */
function forwardUpgrade(relayOrigin: string, request: IncomingMessage, near: Duplex, head: Buffer): void {
  const far = connect(Number(new URL(relayOrigin).port), "127.0.0.1");
  far.on("error", () => near.destroy());
  const lines = [`${request.method} ${request.url} HTTP/1.1`];
  for (let at = 0; at < request.rawHeaders.length; at += 2) {
    lines.push(`${request.rawHeaders[at]}: ${request.rawHeaders[at + 1]}`);
  }
  far.write(`${lines.join("\r\n")}\r\n\r\n`);
  far.write(head);
  near.pipe(far).pipe(near);
  near.on("close", () => far.destroy());
  far.on("close", () => near.destroy());
}

function forward(relayOrigin: string, request: IncomingMessage, response: ServerResponse): void {
  const { upgrade: _, connection: __, ...headers } = request.headers;
  const onward = httpRequest(relayOrigin + request.url, { method: request.method ?? "GET", headers });
  onward.on("response", (answer) => {
    response.writeHead(answer.statusCode ?? 502, answer.headers).flushHeaders();
    answer.on("error", () => response.destroy());
    answer.pipe(response);
  });
  onward.on("error", () => response.destroy());
  response.on("close", () => onward.destroy());
  request.pipe(onward);
}
