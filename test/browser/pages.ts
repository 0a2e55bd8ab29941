import { once } from "node:events";
import { createServer, type IncomingHttpHeaders } from "node:http";
import type { AddressInfo } from "node:net";
import type { TestRelay } from "../integration/relay-ports.js";

/** A web server whose every page is blank, with a relay on it. */
export interface Pages {
  origin: string;
  /** The headers of each request for a WebSocket. */
  upgrades: readonly IncomingHttpHeaders[];
  close(): Promise<void>;
}

/** A navigation to it does not leave the page. */
export const noContentPath = "/no-content";
/** Neither does one to a file that is downloaded. */
export const attachmentPath = "/attachment";

/** The icon is there so that no browser asks for one. */
const blank = `<!doctype html><link rel="icon" href="data:,">`;

export async function openPages({ proxy }: TestRelay): Promise<Pages> {
  const upgrades: IncomingHttpHeaders[] = [];
  const server = createServer((request, response) => {
    proxy.handler(request, response, () => {
      if (request.url === noContentPath) response.writeHead(204).end();
      else if (request.url === attachmentPath) response.setHeader("content-disposition", "attachment").end("file");
      else response.setHeader("content-type", "text/html").end(blank);
    });
  });
  server.on("upgrade", (request, connection, head) => {
    upgrades.push(request.headers);
    proxy.upgrade(request, connection, head);
  });
  server.listen(0, "127.0.0.1");
  await once(server, "listening");
  return {
    origin: `http://127.0.0.1:${(server.address() as AddressInfo).port}`,
    upgrades,
    async close() {
      server.closeAllConnections();
      await new Promise((resolve) => server.close(resolve));
    },
  };
}
