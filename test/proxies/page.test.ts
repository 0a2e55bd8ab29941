import { once } from "node:events";
import { type ClientHttp2Session, connect } from "node:http2";
import { afterAll, beforeAll, describe, expect, test } from "vitest";
import { WebSocket } from "ws";
import { linkProtocol, linkSocketPath } from "../../link/packet/link-message.js";
import { openRelay, type TestRelay } from "../integration/relay-ports.js";
import { proxies } from "./proxies.js";
import type { RunningProxy } from "./start-proxy.js";
import { trustTestCertificate } from "./trust.js";

const path = `/browser-server${linkSocketPath}`;
const foreignOrigin = "https://example.com";

trustTestCertificate();

describe.each(Object.entries(proxies))("a page behind %s", (_, { start }) => {
  let relay: TestRelay;
  let proxy: RunningProxy;

  beforeAll(async () => {
    relay = await openRelay();
    proxy = await start(relay.origin);
  });

  afterAll(async () => {
    await proxy?.end();
    await relay?.close();
  });

  test("gets a WebSocket if its origin is the relay's own", async () => {
    expect(await statusOfSocket(proxy.origin, proxy.origin)).toBe(101);
    expect(await statusOfSocket(proxy.origin, foreignOrigin)).toBe(403);
  });

  test("gets HTTP/2, and if that has WebSockets, one that way", async () => {
    const session = connect(proxy.origin);
    const [settings] = await once(session, "remoteSettings");
    expect(session.alpnProtocol).toBe("h2");
    if (settings.enableConnectProtocol) {
      expect(await statusOverHttp2(session, proxy.origin)).toBe(200);
      expect(await statusOverHttp2(session, foreignOrigin)).toBe(403);
    }
    session.destroy();
  });
});

/** Asks for a WebSocket as a page of an origin does. Resolves with the status of the answer. */
function statusOfSocket(to: string, origin: string): Promise<number | undefined> {
  const socket = new WebSocket(new URL(path, to), linkProtocol, { origin });
  return new Promise((resolve, reject) => {
    socket.on("open", () => {
      socket.once("close", () => resolve(101));
      socket.close();
    });
    socket.on("unexpected-response", (request, { statusCode }) => {
      request.destroy();
      resolve(statusCode);
    });
    socket.on("error", reject);
  });
}

/** Asks for a WebSocket over HTTP/2 as a page of an origin does. RFC 8441, section 5. */
async function statusOverHttp2(session: ClientHttp2Session, origin: string): Promise<number> {
  const stream = session.request({
    ":method": "CONNECT",
    ":protocol": "websocket",
    ":path": path,
    origin,
    "sec-websocket-protocol": linkProtocol,
    "sec-websocket-version": "13",
  });
  const [headers] = await once(stream, "response");
  stream.destroy();
  return headers[":status"];
}
