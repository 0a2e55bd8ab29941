import { type ChildProcessByStdio, spawn } from "node:child_process";
import { once } from "node:events";
import { type AddressInfo, createServer, type Server } from "node:net";
import { createInterface } from "node:readline";
import type { Readable } from "node:stream";
import { text } from "node:stream/consumers";
import { StreamClient, StreamServer } from "browser-stream-server";
import { describe, expect, onTestFinished, test } from "vitest";
import { mainPath } from "../command-line.js";

/**
 * Runs relays one after the other on a socket that a shell keeps open, as systemd keeps that of a socket unit. A line
 * of standard output is the number of the next relay's process, and then come its events.
 */
async function activated(host: string, relays: number, ...args: string[]) {
  const holder = createServer().listen(0, host);
  await once(holder, "listening");
  const { port } = holder.address() as AddressInfo;
  const descriptor = (holder as Server & { _handle: { fd: number } })._handle.fd;
  const relay = `echo $$; export LISTEN_PID=$$ LISTEN_FDS=1; exec "$0" "$@"`;
  const script = `for turn in $(seq ${relays}); do sh -c '${relay}' "$@"; done; exit $?`;
  const command = [process.execPath, mainPath, "serve", "--json", ...args];
  const shell = spawn("sh", ["-c", script, "sh", ...command], {
    stdio: ["ignore", "pipe", "pipe", descriptor],
    detached: true,
  }) as ChildProcessByStdio<null, Readable, Readable>;
  await once(shell, "spawn");
  // From now on only the shell has the socket, so that connections wait while no relay runs.
  holder.close();
  const exited = once(shell, "close").then(([code]) => code as number | null);
  onTestFinished(async () => {
    // The group has the relays in it. It is gone if all went well.
    if (shell.exitCode === null) process.kill(-Number(shell.pid), "SIGKILL");
    await exited;
  });
  const lines = createInterface({ input: shell.stdout })[Symbol.asyncIterator]();
  const next = async () => (await lines.next()).value ?? "";
  /** Resolves with the next event of a kind; others are passed over. */
  const event = async (kind: string) => {
    for (;;) {
      const found = JSON.parse((await next()) || "{}");
      if (found.event === undefined) throw new Error(`the relays ended before ${kind}`);
      if (found.event === kind) return found;
    }
  };
  return { port, shell, exited, next, event };
}

describe("bss serve on a socket that it was given", () => {
  test("drains on SIGTERM, and connections that come before the next relay are the next one's", async () => {
    const { port, next, event, exited } = await activated("127.0.0.1", 2);
    const origin = `http://127.0.0.1:${port}`;
    const first = Number(await next());
    expect((await event("listening")).addresses).toEqual([`${origin}/`]);
    const server = StreamServer(origin, (stream) => void stream.pipe(stream)).listen("name");
    await server.ready;
    const stream = StreamClient(origin).connect("name");
    await stream.opened;
    await server.end();
    process.kill(first, "SIGTERM");
    expect((await event("draining")).streams).toBe(1);
    stream.end().resume();
    await stream.closed;
    await event("stopped");
    const answering = fetch(`${origin}/readyz`);
    const second = Number(await next());
    await event("listening");
    expect((await answering).status).toBe(200);
    process.kill(second, "SIGTERM");
    await event("stopped");
    expect(await exited).toBe(0);
  });

  test("refuses one that other machines reach, as it does such an address, and serves nobody before", async () => {
    const closed = await activated("0.0.0.0", 1);
    // The connection waits at the socket while the relay starts.
    const unanswered = expect(fetch(`http://127.0.0.1:${closed.port}/healthz`)).rejects.toThrow();
    const said = await text(closed.shell.stderr);
    expect([await closed.exited, said.trim().split("\n")]).toEqual([2, [expect.any(String), expect.any(String)]]);
    await unanswered;
    const open = await activated("0.0.0.0", 1, "--open");
    const relay = Number(await open.next());
    expect((await open.event("listening")).addresses[0]).toBe(`http://localhost:${open.port}/`);
    process.kill(relay, "SIGTERM");
    expect(await open.exited).toBe(0);
  });
});
