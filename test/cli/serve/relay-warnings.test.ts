import { spawn } from "node:child_process";
import { once } from "node:events";
import { connect, type Socket } from "node:net";
import { createInterface } from "node:readline";
import { expect, onTestFinished, test } from "vitest";
import { CommandLine, mainPath } from "../command-line.js";

/** The lines of a relay that already listens, with the origin that its first line gave. */
async function linesOf(stdout: NodeJS.ReadableStream): Promise<{ port: number; next: () => Promise<string> }> {
  const lines = createInterface({ input: stdout })[Symbol.asyncIterator]();
  const next = async () => (await lines.next()).value as string;
  return { port: Number(/127\.0\.0\.1:(\d+)/.exec(await next())?.[1]), next };
}

function askForSocket(port: number, origin: string): Socket {
  const path = "/browser-server/streamserver.v1.LinkService/WebSocket";
  const headers = `Host: relay.example\r\nOrigin: ${origin}\r\nConnection: Upgrade\r\nUpgrade: websocket`;
  const socket = connect(port, "127.0.0.1");
  socket.on("error", () => {}).resume();
  socket.write(`GET ${path} HTTP/1.1\r\n${headers}\r\nSec-WebSocket-Protocol: streamserver.v1\r\n\r\n`);
  onTestFinished(() => void socket.destroy());
  return socket;
}

test("bss serve logs a refused WebSocket in words, and with --json as an event", async () => {
  for (const flags of [[], ["--json"]]) {
    const relay = new CommandLine(["serve", "--port", "0", "--host", "127.0.0.1", ...flags]);
    const { port, next } = await linesOf(relay.child.stdout);
    if (flags.length === 0) await next();
    askForSocket(port, "https://\u009b31mpage.example");
    const line = await next();
    expect(line).not.toMatch(/\p{Cc}/u);
    expect(line).toContain("page.example");
    expect(line).toContain("relay.example");
    if (flags.length === 0) expect(line).toMatch(/^warning: /);
    else expect(JSON.parse(line)).toMatchObject({ event: "warning", kind: "origin-refused", count: 1 });
  }
});

test("bss serve says that it is out of file descriptors, and serves on", async () => {
  const command = 'ulimit -n 40 && exec "$@"';
  const args = [process.execPath, mainPath, "serve", "--port", "0", "--host", "127.0.0.1", "--json"];
  const child = spawn("bash", ["-c", command, "bash", ...args], { stdio: ["ignore", "pipe", "inherit"] });
  const exited = once(child, "exit");
  onTestFinished(async () => {
    child.kill("SIGKILL");
    await exited;
  });
  const { port, next } = await linesOf(child.stdout);
  const sockets = Array.from({ length: 60 }, () => {
    const socket = connect(port, "127.0.0.1").on("error", () => {});
    socket.write("GET / HTTP/1.1\r\nHost: 127.0.0.1\r\n\r\n");
    return socket.resume();
  });
  expect(JSON.parse(await next())).toMatchObject({ event: "warning", kind: "descriptors-exhausted", count: 1 });
  await Promise.all(sockets.map((socket) => (socket.closed ? undefined : once(socket.destroy(), "close"))));
  const answers = async () => {
    const url = `http://127.0.0.1:${port}/browser-server/streamserver.v1.RelayService/List`;
    const headers = { "content-type": "application/json" };
    return await (await fetch(url, { method: "POST", headers, body: "{}" })).text();
  };
  // The relay closes its sides of them a moment later.
  await expect.poll(() => answers().catch(String)).toBe("{}");
});
