import { Code, createWebSocketTransport, StreamServer } from "browser-stream-server";
import { afterAll, beforeAll, describe, expect, test } from "vitest";
import { within } from "../engines/within.js";
import { openRelay, type TestRelay } from "../integration/relay-ports.js";
import { type NginxOptions, startNginx } from "./nginx.js";
import { openPair, pass } from "./pair.js";
import type { RunningProxy } from "./start-proxy.js";

/** The fetch link takes the WebSocket's place within this time, which includes the test's own steps. */
const choiceTimeoutMs = 3_000;

describe.each<NginxOptions["variant"]>(["refuses-websockets", "strips-upgrades"])("where nginx %s", (variant) => {
  let relay: TestRelay;
  let proxy: RunningProxy;

  beforeAll(async () => {
    relay = await openRelay();
    // Without TLS there is no HTTP/2 either, which a program in Node prefers to both links.
    proxy = await startNginx({ relayOrigin: relay.origin, variant, tls: false });
  });

  afterAll(async () => {
    await proxy?.end();
    await relay?.close();
  });

  test("there is no WebSocket", async () => {
    const transport = createWebSocketTransport({ baseUrl: `${proxy.origin}/browser-server` });
    await expect(StreamServer(transport).listen("name").ready).rejects.toMatchObject({ code: Code.Unavailable });
  });

  test("a base URL leads to a fetch link", async () => {
    const { there, here, end } = await within(choiceTimeoutMs, "the choice", openPair(proxy.origin, "name"));
    expect(await pass(there, here, "ping")).toBe("ping");
    expect(await pass(here, there, "pong")).toBe("pong");
    expect([there.transport, here.transport]).toEqual(["fetch", "fetch"]);
    await end();
  });
});
