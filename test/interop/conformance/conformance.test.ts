import type { Server } from "node:http";
import type { Socket } from "node:net";
import { createStreamTransport, type StreamTransport } from "browser-stream-server/connect";
import { type RelayServer, StreamServerProxy, serveRelay } from "browser-stream-server/server";
import { afterAll, beforeAll, describe, expect, onTestFinished, test } from "vitest";
import { chromium } from "../../engines/chromium.js";
import { conformanceCall } from "./conformance-client.js";
import { runClientConformance, runServerConformance } from "./conformance-run.js";
import { conformanceRegistry } from "./conformance-service.js";
import { forwardServer } from "./forwarded-server.js";
import { Codec } from "./gen/connectrpc/conformance/v1/config_pb.js";
import { serveConformance } from "./serve-conformance.js";

/** The suite calls an address. A name in its requests leads to the service, as a client's `authority` does. */
const gatewayHost = "relay.example";
/** The suite has 1,990 cases for these features. Another number means that it has left some out. */
const allPassed = "1990 passed, 0 failed";
/** The cases for the features of `createStreamTransport`. */
const allClientCasesPassed = "238 passed, 0 failed";

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
        const host = `${name}.${gatewayHost}`;
        request.headers[header] = host;
        const { rawHeaders } = request;
        rawHeaders[rawHeaders.findIndex((each) => each.toLowerCase() === header) + 1] = host;
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
    const { code, output } = await runServerConformance(relay.port);
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
    const { code, output } = await runServerConformance(relay.port);
    await tab.close();
    expect(output).toContain(allPassed);
    expect(code).toBe(0);
  });
});

test("the conformance suite of Connect has its answers from createStreamTransport", async () => {
  const relay = await serveRelay({ proxy: StreamServerProxy(), port: 0, host: "127.0.0.1" });
  const origin = `http://127.0.0.1:${relay.port}`;
  const servers = new Map<string, ReturnType<typeof forwardServer>>();
  const transports = new Map<string, StreamTransport>();
  const { code, output } = await runClientConformance(async (request) => {
    const name = `${request.host}:${request.port}`;
    const server = servers.get(name) ?? forwardServer(origin, name, `http://${name}`);
    servers.set(name, server);
    await server;
    const options = {
      useBinaryFormat: request.codec === Codec.PROTO,
      readMaxBytes: request.messageReceiveLimit || undefined,
    };
    const key = JSON.stringify([name, options]);
    const jsonOptions = { registry: conformanceRegistry };
    const transport = transports.get(key) ?? createStreamTransport(origin, name, { ...options, jsonOptions });
    transports.set(key, transport);
    return conformanceCall(request, transport);
  });
  await Promise.all([...transports.values()].map((transport) => transport.close()));
  for (const server of servers.values()) await (await server).end();
  await relay.close();
  expect(output).toContain(allClientCasesPassed);
  expect(code).toBe(0);
});
