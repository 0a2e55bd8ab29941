import { once } from "node:events";
import { Agent, createServer, type Server } from "node:http";
import type { AddressInfo } from "node:net";
import proxies from "http-proxy";
import type { HttpContender } from "../../contender.ts";
import { shortBody } from "../../traffic/http-handler.ts";

/** More connections than callers of the bench, which are 32. */
const maxSockets = 64;

/**
 * A reverse proxy with kept connections to a plain server of Node, which answers all paths with the 100 bytes. The
 * server tells the proxy its port by a PUT, as a listener claims a name.
 */
export const httpProxy: HttpContender = {
  serve() {
    const proxy = proxies.createProxyServer({ agent: new Agent({ keepAlive: true, maxSockets }) });
    let target = "";
    return listening(
      createServer((request, response) => {
        if (request.method !== "PUT") return proxy.web(request, response, { target });
        target = `http://127.0.0.1:${request.url?.slice(1)}`;
        response.end();
      }),
    );
  },
  async answer(port) {
    const own = await listening(
      createServer((_, response) => {
        response.writeHead(200, { "content-type": "text/plain", "content-length": shortBody.length });
        response.end(shortBody);
      }),
    );
    await fetch(`http://127.0.0.1:${port}/${own}`, { method: "PUT" });
  },
};

/** Resolves with the port. */
async function listening(server: Server): Promise<number> {
  server.listen(0, "127.0.0.1");
  await once(server, "listening");
  return (server.address() as AddressInfo).port;
}
