import { once } from "node:events";
import { createServer, request as httpRequest, type IncomingMessage, type ServerResponse } from "node:http";
import type { AddressInfo } from "node:net";
import type { Duplex } from "node:stream";

/** What a proxy does to a request for a WebSocket: answers 403, never answers, or makes an ordinary request of it. */
export type UpgradeObstacle = "refuses" | "swallows" | "strips";

/** A proxy in front of a relay through which no WebSocket gets. */
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
    server.on("upgrade", (_request, connection: Duplex) => {
      upgrades += 1;
      taken.add(connection);
      connection.on("error", () => {}).on("close", () => taken.delete(connection));
      if (obstacle === "refuses")
        connection.end("HTTP/1.1 403 Forbidden\r\nContent-Length: 0\r\nConnection: close\r\n\r\n");
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
