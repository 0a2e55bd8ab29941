import { once } from "node:events";
import { type IncomingMessage, request as requestHttp1 } from "node:http";
import { connect as connectHttp2 } from "node:http2";
import { request as requestHttps } from "node:https";
import type { RelayWarning, StreamServerProxyOptions } from "browser-stream-server/server";
import { StreamServerProxy, serveRelay } from "browser-stream-server/server";
import { describe, expect, onTestFinished, test } from "vitest";
import { linkProtocol, linkSocketPath } from "../../../link/packet/link-message.js";
import { selfSigned } from "../relay-ports.js";
import { until } from "../until.js";

const listPath = "/relay/streamserver.v1.RelayService/List";
const sendPath = "/relay/streamserver.v1.LinkService/Send";
const handshake = {
  connection: "Upgrade",
  upgrade: "websocket",
  "sec-websocket-version": "13",
  "sec-websocket-key": Buffer.alloc(16).toString("base64"),
  "sec-websocket-protocol": linkProtocol,
};

interface Asked {
  method?: string;
  path?: string;
  headers?: Record<string, string>;
}

async function open(options: StreamServerProxyOptions, tls?: { cert: string; key: string }) {
  const told: RelayWarning[] = [];
  const proxy = StreamServerProxy({ prefix: "/relay", ...options }).on("warning", (warning) => told.push(warning));
  const server = await serveRelay({
    proxy,
    port: 0,
    host: "127.0.0.1",
    tls,
    fallback: (_request, response) => void response.end("own page"),
  });
  onTestFinished(() => server.close());
  return { port: server.port, told };
}

/**
 * Asks a port of this machine, whatever host the headers name. Resolves with whether the request was refused with 403
 * before any handler had it: the relay's own handlers answer with JSON.
 */
async function answerOf(port: number, { method = "POST", path = listPath, headers = {} }: Asked, tls = false) {
  const body = method === "POST" ? "{}" : undefined;
  const type: Record<string, string> = body === undefined ? {} : { "content-type": "application/json" };
  const asking = (tls ? requestHttps : requestHttp1)({
    ...{ port, host: "127.0.0.1", method, path, agent: false, rejectUnauthorized: false },
    headers: { ...type, ...headers },
  });
  asking.end(body);
  const [response] = (await Promise.race([once(asking, "upgrade"), once(asking, "response")])) as [IncomingMessage];
  if (response.statusCode === 101) response.socket.destroy();
  else response.resume();
  const isJson = response.headers["content-type"]?.startsWith("application/json") === true;
  return response.statusCode === 403 && !isJson ? "refused" : "served";
}

/** The requests that a page can make, and their headers as a browser sets them. */
const ofPages: [what: string, asked: (origin: string, host: string) => Asked][] = [
  ["a call", (origin, host) => ({ headers: { origin, host } })],
  ["a WebSocket", (origin, host) => ({ ...socket, headers: { ...handshake, origin, host } })],
  [
    "a beacon of text to Send, for which no browser asks leave",
    (origin, host) => ({ path: sendPath, headers: { origin, host, "content-type": "text/plain" } }),
  ],
  ["a GET, which has no Origin", (_origin, host) => ({ ...listByGet, headers: { host } })],
  ["a GET of the page", (_origin, host) => ({ method: "GET", path: "/", headers: { host } })],
];
const socket = { method: "GET", path: `/relay${linkSocketPath}` };
const listByGet = { method: "GET", path: `${listPath}?connect=v1&encoding=json&message=%7B%7D` };

describe("hosts", () => {
  test.each(ofPages)("refuse %s of a page whose name was pointed at the relay", async (_what, asked) => {
    const { port, told } = await open({ hosts: ["relay.example", "127.0.0.1"] });
    expect(await answerOf(port, asked(`http://relay.example:${port}`, `Relay.Example:${port}`))).toBe("served");
    expect(await answerOf(port, asked(`http://127.0.0.1:${port}`, `127.0.0.1:${port}`))).toBe("served");
    expect(told).toEqual([]);
    expect(await answerOf(port, asked(`http://rebound.example:${port}`, `rebound.example:${port}`))).toBe("refused");
    await until(() => told.length > 0);
    expect(told).toMatchObject([{ kind: "host-refused", message: expect.stringContaining("rebound.example") }]);
  });

  test.each(ofPages.slice(0, 3))("refuse %s of a page of another site", async (_what, asked) => {
    const { port, told } = await open({ hosts: ["relay.example"] });
    expect(await answerOf(port, asked("https://other.example", "relay.example"))).toBe("refused");
    expect(await answerOf(port, asked("null", "relay.example"))).toBe("refused");
    expect(await answerOf(port, asked("https://relay.example", "other.example"))).toBe("refused");
    await until(() => told.length > 0);
    expect(told).toMatchObject([{ kind: "origin-refused" }]);
  });

  test.each(ofPages.slice(0, 3))("let %s of an allowed origin in by any name", async (_what, asked) => {
    const { port } = await open({ hosts: ["relay.example"], origins: ["https://app.example"] });
    expect(await answerOf(port, asked("https://app.example", "elsewhere.example"))).toBe("served");
    const any = await open({ hosts: ["relay.example"], origins: "*" });
    expect(await answerOf(any.port, asked("https://app.example", "elsewhere.example"))).toBe("served");
  });

  test("let programs and probes in by any name", async () => {
    const { port } = await open({ hosts: ["relay.example"] });
    const headers = { host: "10.1.2.3" };
    expect(await answerOf(port, { headers })).toBe("served");
    expect(await answerOf(port, { method: "GET", path: "/healthz", headers })).toBe("served");
    expect(await answerOf(port, { ...socket, headers: { ...handshake, ...headers } })).toBe("served");
  });

  test("leave a preflight to CORS, which grants it nothing", async () => {
    const { port } = await open({ hosts: ["relay.example"] });
    const headers = { origin: "https://other.example", "access-control-request-method": "POST", host: "relay.example" };
    expect(await answerOf(port, { method: "OPTIONS", headers })).toBe("served");
  });

  test("of a relay that is asked over TLS are names of pages with TLS", async () => {
    const { port } = await open({ hosts: ["relay.example"] }, selfSigned());
    const asked = (scheme: string) => ({ headers: { origin: `${scheme}://relay.example`, host: "relay.example" } });
    expect(await answerOf(port, asked("https"), true)).toBe("served");
    expect(await answerOf(port, asked("http"), true)).toBe("refused");
  });

  test("are compared with the authority of HTTP/2", async () => {
    const { port } = await open({ hosts: ["relay.example"] });
    const session = connectHttp2(`http://127.0.0.1:${port}`);
    onTestFinished(() => session.destroy());
    const statusBy = async (name: string) => {
      const head = { ":method": "POST", ":path": listPath, ":authority": name, origin: `http://${name}` };
      const stream = session.request({ ...head, "content-type": "application/json" });
      stream.end("{}");
      const [headers] = await once(stream, "response");
      stream.resume();
      return headers[":status"];
    };
    expect([await statusBy("relay.example"), await statusBy("rebound.example")]).toEqual([200, 403]);
  });

  test("are any by default, so that browsers alone ask leave", async () => {
    const { port, told } = await open({});
    expect(await answerOf(port, { headers: { origin: "http://rebound.example", host: "rebound.example" } })).toBe(
      "served",
    );
    expect(await answerOf(port, { method: "GET", path: "/", headers: { host: "rebound.example" } })).toBe("served");
    expect(told).toEqual([]);
  });
});
