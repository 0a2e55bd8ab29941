import { spawn } from "node:child_process";
import { once } from "node:events";
import { closeSync, openSync } from "node:fs";
import { createServer as createHttpServer } from "node:http";
import { type AddressInfo, createServer, type Server } from "node:net";
import type { Readable } from "node:stream";
import { Code, Failure, StreamClient, StreamServer } from "browser-stream-server";
import { StreamServerProxy } from "browser-stream-server/server";
import { describe, expect, onTestFinished, test } from "vitest";
import { CommandLine, mainPath } from "../command-line.js";
import { startLimitedRelay, useFileRelay } from "../file-relay.js";

const relay = useFileRelay({ graceMs: 1_000 });
const { command } = relay;

/** A command that listens already. */
async function listening(name: string): Promise<CommandLine> {
  const listener = command("listen", name);
  await listener.hasSaid();
  return listener;
}

test("two commands are a pipe in both directions, and each ends when both inputs have", async () => {
  const listener = await listening("both");
  const client = command("connect", "both");
  listener.child.stdin.end("from the listener");
  client.child.stdin.write("from the ");
  client.child.stdin.end("client");
  const outputs = await Promise.all([listener.output(), client.output()]);
  expect(outputs.map(String)).toEqual(["from the client", "from the listener"]);
  expect([await listener.exitCode, await client.exitCode]).toEqual([0, 0]);
});

test("the end of one input leaves the other way open, and the name is free as soon as a client is there", async () => {
  const listener = await listening("half");
  const client = command("connect", "half");
  client.child.stdin.end("question");
  const [question] = (await once(listener.child.stdout, "data")) as [Buffer];
  expect(String(question)).toBe("question");
  expect((await command("connect", "half").run()).code).toBe(3);
  listener.child.stdin.end("answer");
  expect(String(await client.output())).toBe("answer");
  expect(await client.exitCode).toBe(0);
});

test("of two clients at once one is let in", async () => {
  const listener = await listening("one");
  const client = StreamClient(relay.origin);
  const streams = [client.connect("one"), client.connect("one")];
  const opened = await Promise.allSettled(streams.map((stream) => stream.opened));
  expect(opened.map(({ status }) => status).sort()).toEqual(["fulfilled", "rejected"]);
  for (const stream of streams) stream.destroy();
  listener.child.stdout.resume();
  expect(await listener.exitCode).toBe(7);
});

test("over a server that speaks only HTTP/1.1 it is the same", async () => {
  const server = createHttpServer().listen(0, "127.0.0.1");
  const proxy = StreamServerProxy().install(server);
  onTestFinished(() => {
    proxy.close();
    server.close();
    server.closeAllConnections();
  });
  await once(server, "listening");
  const environment = { BSS_RELAY: `http://127.0.0.1:${(server.address() as AddressInfo).port}` };
  const listener = new CommandLine(["listen", "old"], environment);
  await listener.hasSaid();
  const client = new CommandLine(["connect", "old"], environment);
  listener.child.stdin.end("from the listener");
  client.child.stdin.end("from the client");
  const outputs = await Promise.all([listener.output(), client.output()]);
  expect(outputs.map(String)).toEqual(["from the client", "from the listener"]);
  expect([await listener.exitCode, await client.exitCode]).toEqual([0, 0]);
});

test("what the other side says is said to be its", async () => {
  const server = StreamServer(relay.origin, (stream) => {
    stream.once("data", () => stream.destroy(new Error("that is enough")));
  }).listen("enough");
  onTestFinished(() => server.end());
  await server.ready;
  const client = command("connect", "enough");
  client.child.stdin.write("something");
  client.child.stdout.resume();
  expect(await client.exitCode).toBe(7);
  expect(client.errorLines).toEqual(["bss: the other side: that is enough"]);
});

test("bytes stay as they are, and what a page writes as text arrives as UTF-8", async () => {
  const listener = await listening("bytes");
  const stream = StreamClient(relay.origin).connect("bytes");
  const all = Uint8Array.from({ length: 256 }, (_, index) => index);
  stream.write(all);
  stream.write("ü€");
  stream.end();
  stream.resume();
  listener.child.stdin.end();
  expect(await listener.output()).toEqual(Buffer.concat([all, Buffer.from("ü€")]));
  await stream.closed;
  expect(await listener.exitCode).toBe(0);
});

describe("what stands in the way is one line and an exit code", () => {
  test("nobody listens: 3", async () => {
    expect(await command("connect", "nobody").run()).toEqual({ code: 3, output: "", errorLines: [expect.any(String)] });
  });

  test("the name is taken: 4", async () => {
    const first = await listening("taken");
    expect(await command("listen", "taken").run()).toMatchObject({ code: 4, errorLines: [expect.any(String)] });
    first.child.kill("SIGINT");
    first.child.stdout.resume();
    expect(await first.exitCode).toBe(130);
  });

  test("declined, with the listener's reason: 5", async () => {
    const server = StreamServer(relay.origin, (stream) => stream.reject(Code.PermissionDenied, "not you")).listen("no");
    onTestFinished(() => server.end());
    await server.ready;
    const { code, errorLines } = await command("connect", "no").run();
    expect({ code, lines: errorLines.length }).toEqual({ code: 5, lines: 1 });
    expect(errorLines[0]).toContain("not you");
  });

  test("no relay: 6", async () => {
    const nobody = createServer().listen(0, "127.0.0.1");
    await once(nobody, "listening");
    const { port } = nobody.address() as { port: number };
    nobody.close();
    for (const args of [["connect", "name"], ["listen", "name"], ["ls"]]) {
      const { code, errorLines } = await command(...args, "--relay", `http://127.0.0.1:${port}`).run();
      expect({ code, lines: errorLines.length }).toEqual({ code: 6, lines: 1 });
    }
  });

  test("a server that is no relay: 6", async () => {
    const deaf: Server = createServer((socket) => void socket.resume().end("220 smtp\r\n")).listen(0, "127.0.0.1");
    onTestFinished(() => void deaf.close());
    await once(deaf, "listening");
    const { port } = deaf.address() as { port: number };
    const { code, errorLines } = await command("ls", "--relay", `http://127.0.0.1:${port}`).run();
    expect({ code, lines: errorLines.length }).toEqual({ code: 6, lines: 1 });
  });

  test.each([
    ["no command"],
    ["an empty name", "connect", ""],
    ["no such command", "serv"],
    ["help for no such command", "help", "serv"],
    ["no name", "connect"],
    ["two names", "connect", "a", "b"],
    ["an unknown flag", "listen", "a", "--nonsense"],
    ["a relay that is no URL", "connect", "a", "--relay", "localhost"],
    ["a port that is none", "connect", "a", "--port", "x"],
    ["a host without a port", "connect", "a", "--host", "localhost"],
    ["a target without a port", "listen", "a", "--to", "localhost"],
    ["a server of HTTP with a path", "listen", "a", "--http", "http://localhost:3000/path"],
    ["two targets", "listen", "a", "--to", "3000", "--http", "3000"],
    ["two prefixes", "ls", "a", "b"],
  ])("%s: 2", async (_, ...args) => {
    expect(await command(...args).run()).toEqual({ code: 2, output: "", errorLines: [expect.any(String)] });
  });
});

describe("what breaks off is told to the other side", () => {
  test("Ctrl-C in the middle: 130 here, 7 there", async () => {
    const listener = await listening("interrupted");
    const client = command("connect", "interrupted");
    client.child.stdin.write("something");
    await once(listener.child.stdout, "data");
    listener.child.stdout.resume();
    client.child.kill("SIGINT");
    client.child.stdout.resume();
    expect([await client.exitCode, await listener.exitCode]).toEqual([130, 7]);
    expect([client.errorLines.length, listener.errorLines.length]).toEqual([1, 2]);
  });

  test("the listener is terminated: 143 here, canceled there", async () => {
    const listener = await listening("terminated");
    const stream = StreamClient(relay.origin).connect("terminated");
    await stream.opened;
    listener.child.kill("SIGTERM");
    listener.child.stdout.resume();
    await expect(stream.closed).rejects.toMatchObject({ failure: Failure.PEER_CANCELED });
    expect(await listener.exitCode).toBe(143);
  });

  test("killed: the other side's leg is lost when the grace period is over, 7", async () => {
    const listener = await listening("killed");
    const client = command("connect", "killed");
    client.child.stdin.write("something");
    await once(listener.child.stdout, "data");
    listener.child.stdout.resume();
    client.child.kill("SIGKILL");
    expect(await listener.exitCode).toBe(7);

    const another = await listening("killed");
    const stream = StreamClient(relay.origin).connect("killed");
    await stream.opened;
    another.child.stdout.resume();
    another.child.kill("SIGKILL");
    await expect(stream.closed).rejects.toMatchObject({ failure: Failure.LEG_LOST, code: Code.Unavailable });
  });

  test("a broken pipe behind standard output: 141 here, canceled there", async () => {
    const listener = await listening("closed");
    listener.child.stdout.destroy();
    const stream = StreamClient(relay.origin).connect("closed");
    stream.write("for nobody");
    await expect(stream.closed).rejects.toMatchObject({ code: Code.Unknown });
    expect(await listener.exitCode).toBe(141);
    expect(listener.errorLines.length).toBe(2);
  });

  test("a full disk behind standard output: 1 here, 7 there", async () => {
    const disk = openSync("/dev/full", "w");
    const env = { ...process.env, BSS_RELAY: relay.origin };
    const listener = spawn(process.execPath, [mainPath, "listen", "full"], { stdio: ["ignore", disk, "pipe"], env });
    closeSync(disk);
    await once(listener.stderr as Readable, "data");
    const client = command("connect", "full");
    client.child.stdin.end("too much");
    client.child.stdout.resume();
    const [[code]] = await Promise.all([once(listener, "close"), client.exitCode]);
    expect([code, await client.exitCode]).toEqual([1, 7]);
  });

  test("the relay is killed, and does not come back for the grace period: 6 on both sides", async () => {
    const own = await startLimitedRelay({ graceMs: 1_000 });
    const environment = { BSS_RELAY: own.origin };
    const listener = new CommandLine(["listen", "a"], environment);
    await listener.hasSaid();
    const client = new CommandLine(["connect", "a"], environment);
    client.child.stdin.write("something");
    await once(listener.child.stdout, "data");
    listener.child.stdout.resume();
    client.child.stdout.resume();
    own.child.kill("SIGKILL");
    expect([await listener.exitCode, await client.exitCode]).toEqual([6, 6]);
  });
});

test("a reader that stands still stops the sender, and loses nothing", async () => {
  const listener = await listening("slow");
  const stream = StreamClient(relay.origin).connect("slow");
  const messageBytes = 65_536;
  let sent = 0;
  while (stream.write(new Uint8Array(messageBytes).fill(sent % 251))) sent += 1;
  await stream.opened;
  sent += 1;
  // The window, the pipe and what is on the way: not more than that is taken from the writer.
  const stopped = stream.bufferedBytes;
  expect(stopped).toBeGreaterThan(0);
  stream.end();
  stream.resume();
  listener.child.stdin.end();
  const output = await listener.output();
  expect(output.byteLength).toBe(sent * messageBytes);
  expect(output.every((byte, index) => byte === Math.floor(index / messageBytes) % 251)).toBe(true);
  expect(await listener.exitCode).toBe(0);
});
