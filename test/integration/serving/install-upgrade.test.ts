import { once } from "node:events";
import {
  createServer as createHttpServer,
  type IncomingMessage,
  request as requestPlain,
  type Server,
} from "node:http";
import { createSecureServer } from "node:http2";
import { createServer as createHttpsServer, request as requestOverTls } from "node:https";
import { type AddressInfo, connect } from "node:net";
import type { Duplex } from "node:stream";
import { StreamServerProxy } from "browser-stream-server/server";
import { afterEach, describe, expect, test } from "vitest";
import { linkProtocol, linkSocketPath } from "../../../link/packet/link-message.js";
import { selfSigned } from "../relay-ports.js";

const tls = selfSigned();
const own = (request: { url?: string | undefined }, response: { end(text: string): unknown }) =>
  void response.end(`own ${request.url}`);

type UpgradingServer = Server & { shouldUpgradeCallback?: (request: IncomingMessage) => boolean };

const kinds = {
  http: () => createHttpServer(own),
  https: () => createHttpsServer(tls, own),
  "http2 with TLS": () => createSecureServer({ ...tls, allowHTTP1: true }, own) as unknown as Server,
};
const servers = Object.entries(kinds) as [string, () => UpgradingServer][];

const cleanUp: (() => unknown)[] = [];

afterEach(async () => {
  for (const step of cleanUp.splice(0).reverse()) await step();
});

/** Resolves with the origin of the server, once it listens. */
async function listening(server: UpgradingServer): Promise<string> {
  const sockets = new Set<Duplex>();
  server.on("connection", (socket) => sockets.add(socket));
  cleanUp.push(async () => {
    for (const socket of sockets) socket.destroy();
    await new Promise((resolve) => server.close(resolve));
  });
  server.listen(0, "127.0.0.1");
  await once(server, "listening");
  const scheme = "setSecureContext" in server ? "https" : "http";
  return `${scheme}://127.0.0.1:${(server.address() as AddressInfo).port}`;
}

function installed(server: UpgradingServer, prefix = "/relay"): StreamServerProxy {
  const proxy = StreamServerProxy(prefix).install(server);
  cleanUp.push(() => proxy.close());
  return proxy;
}

const socketPath = `/relay${linkSocketPath}`;

const handshake: Readonly<Record<string, string>> = {
  connection: "Upgrade",
  upgrade: "websocket",
  "sec-websocket-version": "13",
  "sec-websocket-key": Buffer.alloc(16).toString("base64"),
  "sec-websocket-protocol": linkProtocol,
};

interface Asked {
  upgrade?: string;
  headers?: Record<string, string>;
  body?: string;
}

/** Asks for an upgrade. Resolves with the status of the answer, and with its body or the protocol that was taken. */
async function ask(origin: string, path: string, { upgrade = "websocket", headers = {}, body }: Asked = {}) {
  const asking = (origin.startsWith("https") ? requestOverTls : requestPlain)(origin + path, {
    agent: false,
    rejectUnauthorized: false,
    method: body === undefined ? "GET" : "POST",
    headers: { ...handshake, upgrade, ...headers },
  });
  asking.end(body);
  const [response] = (await Promise.race([once(asking, "upgrade"), once(asking, "response")])) as [IncomingMessage];
  const { statusCode: status } = response;
  if (status === 101) {
    response.socket.destroy();
    return { status, got: response.headers["sec-websocket-protocol"] ?? response.headers.upgrade };
  }
  let got = "";
  for await (const chunk of response) got += chunk;
  return { status, got };
}

const relays = { status: 101, got: linkProtocol };

/** A listener of the server's own, which grants everything it hears of. */
function grantAll(_request: IncomingMessage, connection: Duplex): void {
  connection.on("error", () => {});
  connection.write("HTTP/1.1 101 Switching Protocols\r\nConnection: Upgrade\r\nUpgrade: own\r\n\r\n");
}

const http2Client = {
  upgrade: "h2c",
  headers: { connection: "Upgrade, HTTP2-Settings", "http2-settings": "AAMAAABk" },
};

describe.each(servers)("on %s", (_, create) => {
  test.each(["before", "after"])(
    "listeners for upgrades that came %s the relay get all but the relay's",
    async (when) => {
      const server = create();
      if (when === "before") server.on("upgrade", grantAll);
      installed(server);
      const origin = await listening(server);
      if (when === "after") server.on("upgrade", grantAll);
      expect(await ask(origin, socketPath)).toEqual(relays);
      expect(await ask(origin, `${socketPath}?a=b`)).toEqual(relays);
      for (const path of ["/", linkSocketPath, "/relay/streamserver.v1.RelayService/List"]) {
        expect(await ask(origin, path)).toEqual({ status: 101, got: "own" });
      }
    },
  );

  test.each([
    ["", (_server: UpgradingServer) => {}],
    [
      ", though Node hands out every upgrade",
      (server: UpgradingServer) => {
        server.shouldUpgradeCallback = () => true;
      },
    ],
  ])("without such listeners, who asks for an upgrade beside is served as if it had not%s", async (_, prepare) => {
    const server = create();
    const proxy = installed(server);
    prepare(server);
    const origin = await listening(server);
    expect(await ask(origin, "/page", http2Client)).toEqual({ status: 200, got: "own /page" });
    expect(await ask(origin, "/page")).toEqual({ status: 200, got: "own /page" });
    const unknown = `${proxy.prefixes[0]}/streamserver.v1.RelayService/Nothing`;
    expect(await ask(origin, unknown, http2Client)).toMatchObject({ status: 404 });
    expect(await ask(origin, socketPath)).toEqual(relays);
  });

  test("the first request of Java's HTTP client, an RPC with a body, is answered", async () => {
    const server = create();
    installed(server);
    const origin = await listening(server);
    const headers = { ...http2Client.headers, "content-type": "application/json" };
    const listed = await ask(origin, "/relay/streamserver.v1.RelayService/List", {
      upgrade: "h2c",
      headers,
      body: '{"prefix":"none"}',
    });
    expect(listed).toEqual({ status: 200, got: "{}" });
  });

  test("two relays each get their own WebSocket, whichever is closed first", async () => {
    for (const closedFirst of ["/one", "/two"]) {
      const server = create();
      const proxies = new Map(["/one", "/two"].map((prefix) => [prefix, installed(server, prefix)]));
      const origin = await listening(server);
      for (const prefix of proxies.keys()) expect(await ask(origin, prefix + linkSocketPath)).toEqual(relays);
      proxies.get(closedFirst)?.close();
      const gone = closedFirst + linkSocketPath;
      expect(await ask(origin, gone)).toEqual({ status: 200, got: `own ${gone}` });
      const left = closedFirst === "/one" ? "/two" : "/one";
      expect(await ask(origin, left + linkSocketPath)).toEqual(relays);
    }
  });

  test("a relay's WebSocket needs no leave of a server that chooses its upgrades, and the others do", async () => {
    const server = create();
    server.shouldUpgradeCallback = ({ url }) => url === "/chosen";
    server.on("upgrade", grantAll);
    installed(server);
    const origin = await listening(server);
    expect(await ask(origin, socketPath)).toEqual(relays);
    expect(await ask(origin, "/chosen")).toEqual({ status: 101, got: "own" });
    expect(await ask(origin, "/other")).toEqual({ status: 200, got: "own /other" });
  });

  test("a relay that was closed leaves nothing on the server", async () => {
    const server = create();
    const state = () => ({
      emit: server.emit,
      shouldUpgrade: server.shouldUpgradeCallback,
      listeners: server.eventNames().map((event) => [event, server.listenerCount(event)]),
    });
    const before = state();
    const proxy = StreamServerProxy("/relay").install(server);
    expect(state()).not.toEqual(before);
    proxy.close();
    expect(state()).toEqual(before);
    const origin = await listening(server);
    expect(await ask(origin, socketPath)).toEqual({ status: 200, got: `own ${socketPath}` });
  });
});

describe("handed a server's upgrades", () => {
  async function handing(next?: (request: IncomingMessage, connection: Duplex) => void): Promise<string> {
    const proxy = StreamServerProxy("/relay");
    cleanUp.push(() => proxy.close());
    const server = createHttpServer(own).on("upgrade", (request, connection, head) =>
      proxy.upgrade(request, connection, head, next && (() => next(request, connection))),
    );
    return listening(server);
  }

  test("a relay takes its own, and answers the rest with 404", async () => {
    const origin = await handing();
    expect(await ask(origin, socketPath)).toEqual(relays);
    expect(await ask(origin, "/other")).toEqual({ status: 404, got: "" });
  });

  test("a relay takes its own, and leaves the rest to the next one", async () => {
    const origin = await handing(grantAll);
    expect(await ask(origin, socketPath)).toEqual(relays);
    expect(await ask(origin, "/other")).toEqual({ status: 101, got: "own" });
  });
});

describe.each([
  ["is refused with 403", 403, { origin: "https://other.example" }],
  ["is refused with 400", 400, { "sec-websocket-protocol": "other" }],
  ["breaks the rules of the handshake", 400, { "sec-websocket-version": "7" }],
  ["asks for another upgrade where Node hands out all", 404, { upgrade: "h2c" }],
])("the connection of who %s is closed", (_, status, changed) => {
  test.each([
    ["ends it", false],
    ["keeps its half open", true],
  ])("if the other side %s", async (_, allowHalfOpen) => {
    const server: UpgradingServer = createHttpServer();
    installed(server);
    server.shouldUpgradeCallback = () => true;
    const origin = new URL(await listening(server));
    const accepted = once(server, "connection") as Promise<[Duplex]>;
    const socket = connect({ host: origin.hostname, port: Number(origin.port), allowHalfOpen });
    cleanUp.push(() => socket.destroy());
    const path = "upgrade" in changed ? "/other" : socketPath;
    const lines = Object.entries({ host: origin.host, ...handshake, ...changed }).map(
      ([name, value]) => `${name}: ${value}\r\n`,
    );
    socket.write(`GET ${path} HTTP/1.1\r\n${lines.join("")}\r\n`);
    const [connection] = await accepted;
    const closed = once(connection, "close");
    let answer = "";
    for await (const chunk of socket) answer += chunk;
    expect(answer).toContain(`HTTP/1.1 ${status} `);
    await closed;
  });
});
