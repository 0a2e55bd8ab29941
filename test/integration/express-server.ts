import { once } from "node:events";
import { createServer, type IncomingMessage, type ServerResponse } from "node:http";
import { createRequire } from "node:module";
import type { AddressInfo } from "node:net";
import type { StreamServerProxy } from "browser-stream-server/server";
import { onTestFinished } from "vitest";

export type Middleware = (request: IncomingMessage, response: ServerResponse, next: () => void) => void;

/** The part of Express that the tests use. Its types are a package of their own. */
interface Express {
  (): Middleware & { use(...args: (string | Middleware)[]): void };
  json(options?: object): Middleware;
  raw(options?: object): Middleware;
  text(options?: object): Middleware;
  urlencoded(options?: object): Middleware;
}

const require = createRequire(import.meta.url);
export const express: Express = require("express");
export const compression: () => Middleware = require("compression");

/** Serves an Express app that has these handlers, in this order, until the test ends. Resolves with its origin. */
export async function serveExpress(
  proxy: StreamServerProxy,
  ...handlers: (Middleware | [mountPath: string, handler: Middleware])[]
): Promise<string> {
  const app = express();
  for (const handler of handlers) {
    if (Array.isArray(handler)) app.use(...handler);
    else app.use(handler);
  }
  const server = createServer((request, response) => app(request, response, () => {})).on("upgrade", proxy.upgrade);
  onTestFinished(async () => {
    proxy.close();
    server.closeAllConnections();
    await new Promise((resolve) => server.close(resolve));
  });
  server.listen(0, "127.0.0.1");
  await once(server, "listening");
  return `http://127.0.0.1:${(server.address() as AddressInfo).port}`;
}
