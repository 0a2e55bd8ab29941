import { once } from "node:events";
import type { IncomingMessage, Server, ServerResponse } from "node:http";
import { Agent, get } from "node:http";
import type { AddressInfo } from "node:net";
import { expect, test } from "vitest";
import { PlainPort } from "../../../../server/http/port/plain-port.js";
import { TrustedProxies } from "../../../../server/http/request/trusted-proxies.js";

test.each<[who: string, proxies: string[], timeout: string]>([
  ["a trusted proxy", ["127.0.0.1"], "timeout=620"],
  ["anybody else", [], "timeout=5"],
])("PlainPort keeps the idle connections of %s for its time", async (_, proxies, timeout) => {
  const port = new PlainPort(10_000, TrustedProxies.from(proxies));
  for (const server of port.servers) {
    (server as Server).on("request", (_: IncomingMessage, response: ServerResponse) => response.end());
  }
  port.listener.listen(0, "127.0.0.1");
  await once(port.listener, "listening");
  const agent = new Agent({ keepAlive: true });
  const { port: number } = port.listener.address() as AddressInfo;
  const [response] = (await once(get({ host: "127.0.0.1", port: number, agent }), "response")) as [IncomingMessage];
  expect(response.headers["keep-alive"]).toBe(timeout);
  response.resume();
  agent.destroy();
  await port.close();
});
