import { createHash, randomBytes } from "node:crypto";
import { once } from "node:events";
import { createServer as createHttpServer, get, type IncomingMessage } from "node:http";
import { type AddressInfo, connect, createServer, type Server, type Socket } from "node:net";
import { buffer } from "node:stream/consumers";
import { Code, StreamClient } from "browser-stream-server";
import { expect, onTestFinished, test } from "vitest";
import type { CommandLine } from "../command-line.js";
import { useFileRelay } from "../file-relay.js";

const relay = useFileRelay();

async function open(server: Server): Promise<number> {
  server.listen(0, "127.0.0.1");
  await once(server, "listening");
  onTestFinished(() => void server.close());
  return (server.address() as AddressInfo).port;
}

/** The port of this machine that leads, through two commands and the relay, to another one. */
async function tunnel(name: string, target: number): Promise<{ port: number; near: CommandLine; far: CommandLine }> {
  const far = relay.command("listen", name, "--to", `127.0.0.1:${target}`);
  const near = relay.command("connect", name, "--port", "0");
  await far.hasSaid();
  const port = Number(/127\.0\.0\.1:(\d+)/.exec(await near.hasSaid())?.[1]);
  return { port, near, far };
}

const sha256 = (data: Uint8Array) => createHash("sha256").update(data).digest("hex");

test("a real HTTP server behaves through it as it does directly: 20 downloads at once, and one cut short", async () => {
  const body = randomBytes(2 * 1024 * 1024);
  const server = createHttpServer((request, response) => {
    response.writeHead(200, { "content-length": body.byteLength, "x-path": request.url });
    if (request.url === "/cut") response.write(body.subarray(0, 100_000), () => response.socket?.resetAndDestroy());
    else response.end(body);
  });
  const { port } = await tunnel("http", await open(server));
  const ask = async (path: string) => {
    const request = get({ port, host: "127.0.0.1", path, agent: false });
    const [response] = (await once(request, "response")) as [IncomingMessage];
    // From here on a broken connection is an error of the response.
    request.on("error", () => {});
    return response;
  };
  const download = async (path: string) => {
    const response = await ask(path);
    return [response.statusCode, response.headers["x-path"], sha256(await buffer(response))];
  };
  const paths = Array.from({ length: 20 }, (_, index) => `/${index}`);
  expect(await Promise.all(paths.map(download))).toEqual(paths.map((path) => [200, path, sha256(body)]));
  await expect(ask("/cut").then(buffer)).rejects.toMatchObject({ code: "ECONNRESET" });
  expect(await download("/after")).toEqual([200, "/after", sha256(body)]);
});

test("of 200 connections at once none is turned away", async () => {
  const server = createServer((socket) => socket.pipe(socket));
  const { port, near, far } = await tunnel("burst", await open(server));
  const echo = async (text: string) => {
    const socket = connect({ port, host: "127.0.0.1", allowHalfOpen: true });
    socket.end(text);
    return String(await buffer(socket));
  };
  const texts = Array.from({ length: 200 }, (_, index) => `number ${index}`);
  expect(await Promise.all(texts.map(echo))).toEqual(texts);
  // Node warns of nothing.
  expect([near.errorLines.length, far.errorLines.length]).toEqual([1, 1]);
});

test("half-close is half-close: what follows it the other way arrives", async () => {
  const server = createServer({ allowHalfOpen: true }, async (socket) => {
    const question = await buffer(socket.iterator({ destroyOnReturn: false }) as AsyncIterable<Buffer>);
    socket.end(`${question} and more`);
  });
  const { port } = await tunnel("half", await open(server));
  const socket = connect({ port, host: "127.0.0.1", allowHalfOpen: true });
  socket.end("question");
  expect(String(await buffer(socket))).toBe("question and more");
});

test("a reset is a reset, either way", async () => {
  const server = createServer();
  const { port, near } = await tunnel("reset", await open(server));
  const socket = connect({ port, host: "127.0.0.1" });
  socket.write("something");
  const [there] = (await once(server, "connection")) as [Socket];
  await once(there, "data");
  socket.resetAndDestroy();
  const [error] = (await once(there, "error")) as [NodeJS.ErrnoException];
  expect(error.code).toBe("ECONNRESET");
  // The command goes on.
  await near.hasSaid(2);
  const again = connect({ port, host: "127.0.0.1" });
  await once(again, "connect");
  again.destroy();
});

test("a target that refuses declines the client; nobody who listens resets the connection", async () => {
  const nobody = createServer();
  const target = await open(nobody);
  nobody.close();
  const { port, near, far } = await tunnel("refused", target);
  const stream = StreamClient(relay.origin).connect("refused");
  await expect(stream.opened).rejects.toMatchObject({ code: Code.Unavailable });
  const resets = async () => {
    const socket = connect({ port, host: "127.0.0.1" });
    const [error] = (await once(socket, "error")) as [NodeJS.ErrnoException];
    expect(error.code).toBe("ECONNRESET");
  };
  await resets();
  far.child.kill("SIGINT");
  far.child.stdout.resume();
  expect(await far.exitCode).toBe(130);
  // The four lines: the address it leads to, one for each of the two connections, and the interruption.
  expect(far.errorLines).toHaveLength(4);
  await resets();
  near.child.kill("SIGINT");
  near.child.stdout.resume();
  expect(await near.exitCode).toBe(130);
});

test("a port that is in use is one line: exit code 1", async () => {
  const port = await open(createServer());
  const { code, errorLines } = await relay.command("connect", "name", "--port", String(port)).run();
  expect({ code, lines: errorLines.length }).toEqual({ code: 1, lines: 1 });
});
