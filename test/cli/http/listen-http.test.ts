import { once } from "node:events";
import { createServer, type IncomingMessage, type RequestListener, request, type Server } from "node:http";
import type { AddressInfo, createServer as createTcpServer } from "node:net";
import { text } from "node:stream/consumers";
import { gzipSync } from "node:zlib";
import { Code, Failure, StreamClient } from "browser-stream-server";
import { createFetch, type FetchOverStream, trailersOf, withTrailers } from "browser-stream-server/http";
import { type StreamCloseEvent, type StreamWebSocket, webSocketOf } from "browser-stream-server/websocket";
import { describe, expect, onTestFinished, test } from "vitest";
import { WebSocket, WebSocketServer } from "ws";
import { openRelay } from "../../integration/relay-ports.js";
import { until } from "../../integration/until.js";
import { CommandLine } from "../command-line.js";
import { useFileRelay } from "../file-relay.js";

const relay = useFileRelay();

async function open(server: Server | ReturnType<typeof createTcpServer>, port = 0): Promise<number> {
  server.listen(port, "127.0.0.1");
  await once(server, "listening");
  onTestFinished(() => {
    server.close();
    if ("closeAllConnections" in server) server.closeAllConnections();
  });
  return (server.address() as AddressInfo).port;
}

async function listen(name: string, port: number): Promise<{ fetch: FetchOverStream; command: CommandLine }> {
  const command = relay.command("listen", name, "--http", `127.0.0.1:${port}`);
  await command.hasSaid(2);
  const fetch = createFetch(relay.origin, name);
  onTestFinished(() => fetch.close());
  return { fetch, command };
}

const serve = async (name: string, handler: RequestListener) => listen(name, await open(createServer(handler)));

describe("bss listen --http", () => {
  test("says to whom it opens what", async () => {
    const { command } = await listen("said", 1);
    // The second line is what the name opens.
    for (const line of command.errorLines) expect(line).toContain("said");
    expect(command.errorLines[0]).toContain("http://127.0.0.1:1");
  });

  test("a request has the local server's Host, and the caller's in X-Forwarded-Host; headers of one connection stay", async () => {
    let port = 0;
    const { fetch } = await serve("headers", (request, response) => {
      port = request.socket.localPort ?? 0;
      response.setHeader("connection", "keep-alive, x-private");
      response.setHeader("x-private", "1");
      response.setHeader("set-cookie", ["a=1", "b=2"]);
      response.end(JSON.stringify({ url: request.url, method: request.method, headers: request.headers }));
    });
    const response = await fetch("https://shop.example/a%2Fb/../c?x=1", {
      method: "DELETE",
      headers: {
        cookie: "a=1; b=2",
        "x-own": "ü",
        "x-forwarded-for": "1.2.3.4",
        connection: "x-hop",
        "x-hop": "1",
        host: "other.example",
        expect: "100-continue",
      },
    });
    expect(response.headers.getSetCookie()).toEqual(["a=1", "b=2"]);
    expect([response.headers.has("x-private"), response.headers.has("keep-alive")]).toEqual([false, false]);
    const { url, method, headers } = (await response.json()) as { url: string; method: string; headers: object };
    expect([url, method]).toEqual(["/c?x=1", "DELETE"]);
    expect(headers).toMatchObject({
      host: `127.0.0.1:${port}`,
      "x-forwarded-host": "shop.example",
      "x-forwarded-proto": "https",
      forwarded: 'for=unknown;host="shop.example";proto=https',
      cookie: "a=1; b=2",
    });
    const names = Object.keys(headers);
    expect(names.filter((name) => ["x-hop", "x-forwarded-for", "expect"].includes(name))).toEqual([]);
  });

  test("redirects, ranges, entity tags and encodings are passed on as they are", async () => {
    const zipped = gzipSync("unpacked by nobody");
    const { fetch } = await serve("plain", ({ url, headers }, response) => {
      if (url === "/moved") response.writeHead(307, { location: "/there" }).end();
      else if (headers["if-none-match"] === '"1"') response.writeHead(304, { etag: '"1"' }).end();
      else if (headers.range === "bytes=2-4") {
        response.writeHead(206, { "content-range": "bytes 2-4/10", "content-length": 3 }).end("234");
      } else response.writeHead(200, { "content-encoding": "gzip", "content-length": zipped.byteLength }).end(zipped);
    });
    const moved = await fetch("/moved");
    expect([moved.status, moved.headers.get("location")]).toEqual([307, "/there"]);
    const same = await fetch("/", { headers: { "if-none-match": '"1"' } });
    expect([same.status, same.headers.get("etag"), await same.text()]).toEqual([304, '"1"', ""]);
    const part = await fetch("/", { headers: { range: "bytes=2-4" } });
    expect([part.status, part.headers.get("content-range"), await part.text()]).toEqual([206, "bytes 2-4/10", "234"]);
    const packed = await fetch("/");
    expect(packed.headers.get("content-encoding")).toBe("gzip");
    expect(Buffer.from(await packed.arrayBuffer())).toEqual(zipped);
    const head = await fetch("/", { method: "HEAD" });
    expect([head.headers.get("content-length"), await head.text()]).toEqual([String(zipped.byteLength), ""]);
  });

  test("bodies go both ways at once, with trailers each way", async () => {
    const { fetch } = await serve("bodies", (request, response) => {
      response.writeHead(200, { trailer: "x-sum" });
      request.on("data", (chunk: Buffer) => response.write(chunk.toString().toUpperCase()));
      request.on("end", () => {
        response.addTrailers({ "x-sum": String(request.trailers["x-sum"]) });
        response.end();
      });
    });
    const { readable, writable } = new TransformStream<Uint8Array, Uint8Array>();
    const writer = writable.getWriter();
    const init = { method: "POST", body: readable, duplex: "half" } as RequestInit;
    const request = withTrailers(new Request("http://host/", init), { "x-sum": "7" });
    const answered = fetch(request);
    void writer.write(Buffer.from("first"));
    const response = await answered;
    const reader = response.body!.getReader();
    expect(Buffer.from((await reader.read()).value!).toString()).toBe("FIRST");
    void writer.write(Buffer.from("second"));
    expect(Buffer.from((await reader.read()).value!).toString()).toBe("SECOND");
    await writer.close();
    expect((await reader.read()).done).toBe(true);
    expect((await trailersOf(response)).get("x-sum")).toBe("7");
  });

  test("a body is framed whatever the method, so that none is taken for the next request of a kept connection", async () => {
    const seen: string[] = [];
    const { fetch } = await serve("framed", async (request, response) => {
      seen.push(`${request.method} ${request.url}`);
      response.end(await text(request));
    });
    const smuggled = "GET /smuggled HTTP/1.1\r\nhost: a\r\n\r\n";
    for (const method of ["DELETE", "OPTIONS"]) {
      const body = new Blob([smuggled]).stream();
      const init = { method, body, duplex: "half" } as RequestInit;
      expect(await (await fetch(new Request(`http://host/${method}`, init))).text()).toBe(smuggled);
    }
    expect(await (await fetch("/last")).text()).toBe("");
    expect(seen).toEqual(["DELETE /DELETE", "OPTIONS /OPTIONS", "GET /last"]);
  });

  test("a caller that gives up ends the request at the local server, and one that breaks ends the caller's body", async () => {
    const requests: IncomingMessage[] = [];
    const { fetch } = await serve("aborts", (request, response) => {
      requests.push(request);
      if (request.url !== "/silent") response.write("begun");
      if (request.url === "/break") setImmediate(() => request.socket.resetAndDestroy());
    });
    const abort = new AbortController();
    const response = await fetch("/", { signal: abort.signal });
    const closed = once(requests[0]!.socket, "close");
    abort.abort();
    await closed;
    await expect(response.text()).rejects.toThrow();
    const early = new AbortController();
    const unanswered = fetch("/silent", { signal: early.signal });
    await until(() => requests.length === 2);
    const silentClosed = once(requests[1]!.socket, "close");
    early.abort();
    await expect(unanswered).rejects.toMatchObject({ name: "AbortError" });
    await silentClosed;
    await expect(fetch("/break").then((broken) => broken.text())).rejects.toMatchObject({ code: 13 });
  });

  test("a local server that is away is 502, as a page for people, and its return is noticed", async () => {
    const first = createServer();
    const port = await open(first);
    first.close();
    await once(first, "close");
    const { fetch, command } = await listen("away", port);
    const plain = await fetch("/");
    expect([plain.status, plain.headers.get("content-type")]).toEqual([502, "text/plain; charset=utf-8"]);
    const page = await fetch("/", { headers: { accept: "text/html,*/*" } });
    expect([page.status, page.headers.get("content-type")]).toEqual([502, "text/html; charset=utf-8"]);
    expect(await page.text()).not.toContain(String(port));
    const endless = new ReadableStream({ pull: (controller) => controller.enqueue(new Uint8Array(1_000)) });
    expect((await fetch("/", { method: "PUT", body: endless })).status).toBe(502);
    expect(await command.hasSaid(3)).toContain("ECONNREFUSED");
    await open(
      createServer((_, response) => response.end("there")),
      port,
    );
    expect(await (await fetch("/")).text()).toBe("there");
    await command.hasSaid(4);
    expect(command.errorLines).toHaveLength(4);
  });

  test("300 requests at once are answered", async () => {
    const { fetch } = await serve("many", async (request, response) => response.end(await text(request)));
    const ask = async (number: number) => (await fetch("/", { method: "PUT", body: String(number) })).text();
    const numbers = Array.from({ length: 300 }, (_, at) => at);
    expect(await Promise.all(numbers.map(ask))).toEqual(numbers.map(String));
  });

  test("WebSockets are passed on: path, subprotocol, text, bytes and close codes, each way", async () => {
    const server = createServer();
    const sockets = new WebSocketServer({ server, handleProtocols: () => "second" });
    sockets.on("connection", (socket: WebSocket, request) => {
      const { host, te, "x-own": own, "x-hop": hop, "content-length": length } = request.headers;
      socket.send([request.url, host, own, te, hop, length, request.headers["transfer-encoding"]].join(" "));
      socket.on("message", (data, isBinary) => {
        if (data.toString() === "close") socket.close(4001, "bye");
        else socket.send(data, { binary: isBinary });
      });
    });
    const port = await open(server);
    await listen("sockets", port);
    const ofConnection = { TE: "a", "Transfer-Encoding": "chunked", Connection: "X-Hop", "x-hop": "1" };
    const metadata = { "X-Own": "1", Host: "other.example", "Content-Length": "5", ...ofConnection };
    const Socket = webSocketOf(StreamClient(relay.origin), "sockets", { metadata });
    const connect = () => {
      const socket = new Socket("ws://host/path?query=1", ["first", "second"]);
      socket.binaryType = "arraybuffer";
      return socket;
    };
    const near = connect();
    expect(await next(near)).toBe(`/path?query=1 127.0.0.1:${port} 1    `);
    near.send("text");
    expect(await next(near)).toBe("text");
    near.send(new Uint8Array([1, 2]));
    expect(await next(near)).toEqual(new Uint8Array([1, 2]).buffer);
    near.send("close");
    expect(await closed(near)).toMatchObject({ code: 4001, reason: "bye" });

    const other = connect();
    await next(other);
    const [far] = [...sockets.clients] as [WebSocket];
    const farClose = once(far, "close");
    other.close(4002, "enough");
    const [code, reason] = (await farClose) as [number, Buffer];
    expect([code, reason.toString()]).toEqual([4002, "enough"]);
  });

  test("Ctrl-C ends it at once, and the calls under way with it", async () => {
    const { fetch, command } = await serve("interrupted", (_, response) => void response.write("begun"));
    const body = (await fetch("/")).text();
    command.child.kill("SIGINT");
    await expect(body).rejects.toMatchObject({ failure: Failure.PEER_CANCELED });
    command.child.stdout.resume();
    expect(await command.exitCode).toBe(130);
  });

  test("a WebSocket that the local server refuses is declined", async () => {
    await serve("refuses", (_, response) => response.writeHead(404).end());
    const socket = new (webSocketOf(StreamClient(relay.origin), "refuses"))("/");
    const close = await closed(socket);
    expect(close.error?.failure).toBe(Failure.DECLINED);
    expect(close.reason).toContain("404");
  });

  test("a WebSocket of another host, or of none, is declined, and a message that is too large ends its own alone", async () => {
    const server = createServer();
    new WebSocketServer({ server }).on("connection", (socket: WebSocket) => socket.send("x".repeat(2_000)));
    const port = await open(server);
    await listen("hostile", port);
    const connect = (metadata: Record<string, string>, maxMessageBytes?: number) =>
      StreamClient(relay.origin).connect("hostile", {
        metadata: { protocol: "websocket", ...metadata },
        maxMessageBytes,
      });
    for (const metadata of [{ path: `@127.0.0.1:${port}/` }, { path: "/#a" }, { "sec-websocket-protocol": "a b" }]) {
      await expect(connect(metadata as Record<string, string>).closed).rejects.toMatchObject({
        code: Code.InvalidArgument,
      });
    }
    // It may come before the client is accepted, who is declined then.
    await expect(connect({}, 1_000).closed).rejects.toMatchObject({ code: Code.ResourceExhausted });
    for await (const message of connect({})) {
      expect(message).toHaveLength(2_000);
      break;
    }
  });

  test("the length of a body that a request cannot have is not passed on, because the next request would be taken for it", async () => {
    const gateway = await openRelay({ gateway: { by: "path" } });
    onTestFinished(() => gateway.close());
    const seen: string[] = [];
    const server = createServer(({ url, headers }, response) => {
      seen.push(`${url} ${headers["content-length"]}`);
      response.end();
    });
    const command = new CommandLine(["listen", "unbodied", "--http", String(await open(server))], {
      BSS_RELAY: gateway.origin,
    });
    await command.hasSaid(2);
    for (const [path, body] of [["first", "hello"], ["second"]] as const) {
      const asked = request(`${gateway.origin}/~/unbodied/${path}`, {
        headers: { "content-length": body?.length ?? 0 },
      });
      asked.end(body);
      const [response] = (await once(asked, "response")) as [IncomingMessage];
      await text(response);
    }
    expect(seen).toEqual(["/first undefined", "/second undefined"]);
  });

  test("by the gateway of a relay, any client of HTTP and of WebSockets reaches the local server", async () => {
    const gateway = await openRelay({ gateway: { by: "path" } });
    onTestFinished(() => gateway.close());
    const server = createServer((request, response) => response.end(`page ${request.url}`));
    new WebSocketServer({ server }).on("connection", (socket: WebSocket, { url, headers }) => {
      socket.send([url, headers.origin, headers["x-forwarded-host"], headers.protocol].join(" "));
    });
    const command = new CommandLine(["listen", "web", "--http", String(await open(server))], {
      BSS_RELAY: gateway.origin,
    });
    await command.hasSaid(2);
    const url = `${gateway.origin}/~/web/cells`;
    expect(await (await globalThis.fetch(url)).text()).toBe("page /cells");
    const socket = new WebSocket(url.replace("http", "ws"), { origin: gateway.origin });
    const [message] = (await once(socket, "message")) as [Buffer];
    const { host } = new URL(gateway.origin);
    expect(message.toString()).toBe(`/cells ${gateway.origin} ${host} `);
    socket.close();
    await once(socket, "close");
  });
});

const next = async (socket: StreamWebSocket) => ((await heard(socket, "message")) as MessageEvent).data as unknown;
const closed = (socket: StreamWebSocket) => heard(socket, "close") as Promise<StreamCloseEvent>;
const heard = (socket: StreamWebSocket, type: string) =>
  new Promise<Event>((resolve) => socket.addEventListener(type, resolve, { once: true }));
