import { once } from "node:events";
import { createServer as createHttpServer, type IncomingMessage, type ServerResponse } from "node:http";
import { createServer as createHttp2Server } from "node:http2";
import type { AddressInfo, Socket } from "node:net";
import type { Duplex } from "node:stream";
import { StreamServerProxy } from "browser-stream-server/server";
import { describe, expect, onTestFinished, test } from "vitest";
import { CommandLine } from "../command-line.js";

/** RFC 7617 with a colon, a space and a letter outside of ASCII in the password, as a URL has them. */
const user = "u%40corp:s3cr:et%20%C3%BC@";
const credentials = `Basic ${Buffer.from("u@corp:s3cr:et ü").toString("base64")}`;

interface Guarded {
  /** The URL with user and password. */
  url: string;
  /** The URL without them. */
  bare: string;
  /** The Authorization headers of all requests, or "nothing" for a request without one. */
  seen: Set<string>;
}

/** A relay that answers nobody without user and password. */
async function guardedRelay(way: "HTTP/2" | "a WebSocket" | "fetch"): Promise<Guarded> {
  const server = way === "HTTP/2" ? createHttp2Server() : createHttpServer();
  const sockets = new Set<Socket>();
  server.on("connection", (socket: Socket) => sockets.add(socket));
  const proxy = StreamServerProxy().install(server);
  const seen = new Set<string>();
  const relayEmit = server.emit;
  server.emit = function (this: typeof server, event: string | symbol, ...args: unknown[]): boolean {
    const pass = () => Reflect.apply(relayEmit, this, [event, ...args]);
    if (event !== "request" && event !== "upgrade") return pass();
    const [{ headers }, answer] = args as [IncomingMessage, ServerResponse & Duplex];
    seen.add(headers.authorization ?? "nothing");
    const isAllowed = headers.authorization === credentials;
    if (event === "upgrade") return isAllowed && way !== "fetch" ? pass() : void answer.end(refusal) === undefined;
    if (isAllowed) return pass();
    answer.writeHead(401, { "www-authenticate": "Basic" }).end();
    return true;
  } as typeof server.emit;
  server.listen(0, "127.0.0.1");
  await once(server, "listening");
  onTestFinished(() => {
    proxy.close();
    server.close();
    for (const socket of sockets) socket.destroy();
  });
  const place = `127.0.0.1:${(server.address() as AddressInfo).port}`;
  return { url: `http://${user}${place}`, bare: `http://${place}`, seen };
}

const refusal = "HTTP/1.1 403 Forbidden\r\nconnection: close\r\n\r\n";

describe.each(["HTTP/2", "a WebSocket", "fetch"] as const)("a relay behind basic auth, over %s", (way) => {
  test("user and password of its URL are sent with every request", async () => {
    const { url, seen } = await guardedRelay(way);
    const listener = new CommandLine(["listen", "guarded", "--listed", "--relay", url]);
    await listener.hasSaid();
    expect(await new CommandLine(["ls"], { BSS_RELAY: url }).run()).toMatchObject({ code: 0, output: "guarded\n" });
    const client = new CommandLine(["connect", "guarded", "--relay", `${url}/`]);
    client.child.stdin.end("let in");
    listener.child.stdin.end();
    expect([String(await listener.output()), String(await client.output())]).toEqual(["let in", ""]);
    expect([await listener.exitCode, await client.exitCode]).toEqual([0, 0]);
    expect([...seen]).toEqual([credentials]);
  });

  test("without them, or with others, the relay cannot be reached: 6, and no word of the password", async () => {
    const { url, bare } = await guardedRelay(way);
    for (const relay of [bare, url.replace("s3cr", "s4cr")]) {
      const { code, errorLines } = await new CommandLine(["ls", "--relay", relay]).run();
      expect({ code, lines: errorLines.length }).toEqual({ code: 6, lines: 1 });
      expect(errorLines[0]).toContain(bare);
      expect(errorLines[0]).not.toContain("s4cr");
    }
  });
});

test.each([
  ["another scheme", "wss://u:s3cret@host"],
  ["a scheme that is none of the network's", "file:///u:s3cret@host"],
  ["no scheme", "//u:s3cret@host"],
  ["user and password instead of a scheme", "u:s3cret@host"],
  ["a query", "http://u:s3cret@host/?relay=1"],
  ["a fragment", "http://u:s3cret@host/#relay"],
  ["a port that is none", "http://u:s3cret@host:99999"],
  ["a colon in the user", "http://u%3As3cret:p@host"],
  ["a password that is not escaped", "http://u:s3cret#x@host"],
  ["nothing", ""],
])("a relay's URL with %s is refused without the password: 2", async (_, url) => {
  for (const args of [["ls"], ["connect", "name"], ["listen", "name", "--to", "localhost:1"]]) {
    const { code, output, errorLines } = await new CommandLine([...args, "--relay", url]).run();
    expect({ code, output, lines: errorLines.length }).toEqual({ code: 2, output: "", lines: 1 });
    expect(errorLines[0]).not.toContain("s3cret");
  }
});

test.each(["a?b", "/a#b", "/../a", "a b"])("a prefix that is no path is refused, as serve does: %s", async (prefix) => {
  for (const command of ["ls", "serve"]) {
    expect((await new CommandLine([command, "--prefix", prefix]).run()).code).toBe(2);
  }
});

test.each([
  ["connect", "name", "http://u:s3cret@host"],
  ["ls", "a", "http://u:s3cret@host"],
  ["listen", "name", "--to", "http://u:s3cret@host"],
  ["connect", "name", "--port", "http://u:s3/cret@host"],
  ["http://u:s3cret@host"],
  ["serve", "http://u:s3cret@host"],
  ["serve", "--origin", "http://u:s3cret@host"],
  ["serve", "--host", "http://u:s3cret@host"],
  ["serve", "--http://u:s3cret@host"],
])("a URL in the wrong place (bss %s %s %s %s) is not repeated with its password", async (...args) => {
  const { code, output, errorLines } = await new CommandLine(args).run();
  expect({ isRefused: code === 1 || code === 2, output, lines: errorLines.length }).toEqual({
    isRefused: true,
    output: "",
    lines: 1,
  });
  expect(errorLines[0]).not.toMatch(/s3|cret/);
});
