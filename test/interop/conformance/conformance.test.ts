import type { Server } from "node:http";
import type { Socket } from "node:net";
import { type RelayServer, StreamServerProxy, serveRelay } from "browser-stream-server/server";
import { afterAll, beforeAll, describe, expect, onTestFinished, test } from "vitest";
import { chromium } from "../../engines/chromium.js";
import { runConformance } from "./conformance-run.js";
import { serveConformance } from "./serve-conformance.js";

/** The suite calls an address. A name in its requests leads to the service, as a client's `authority` does. */
const gatewayHost = "relay.example";
/** The suite has 1,990 cases for these features. Another number means that it has left some out. */
const allPassed = "1990 passed, 0 failed";

describe("the conformance suite of Connect passes through the gateway", () => {
  let relay: RelayServer;
  let origin: string;
  let name: string;

  beforeAll(async () => {
    const proxy: StreamServerProxy = StreamServerProxy({ gateway: { by: "host", host: gatewayHost } });
    relay = await serveRelay({
      proxy,
      port: 0,
      host: "127.0.0.1",
      fallback(request, response) {
        const header = ":authority" in request.headers ? ":authority" : "host";
        request.headers[header] = `${name}.${gatewayHost}`;
        // Where the machine stands still, Node's 5 s may be over just when the suite uses a connection again.
        if (!("stream" in request)) (request.socket as Socket & { server: Server }).server.keepAliveTimeout = 60_000;
        proxy.handler(request, response);
      },
    });
    origin = `http://127.0.0.1:${relay.port}`;
  });

  afterAll(() => relay?.close());

  test("for a service in Node", async () => {
    name = "node";
    const server = await serveConformance(origin, name);
    const { code, output } = await runConformance(relay.port);
    await server.end();
    expect(output).toContain(allPassed);
    expect(code).toBe(0);
  });

  test("for a service in a tab of Chromium", async () => {
    const browser = await chromium.launch();
    onTestFinished(() => browser.close());
    name = "tab";
    const tab = await browser.openTab(origin);
    await tab.run(`
      import { serveConformance } from "browser-stream-server/conformance";
      await serveConformance(location.origin, "${name}");
    `);
    const { code, output } = await runConformance(relay.port);
    await tab.close();
    expect(output).toContain(allPassed);
    expect(code).toBe(0);
  });
});
