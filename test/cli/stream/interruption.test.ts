import { spawn } from "node:child_process";
import { once } from "node:events";
import { type AddressInfo, connect, createServer, type Socket } from "node:net";
import { StreamServer } from "browser-stream-server";
import { expect, onTestFinished, test } from "vitest";
import { startRelay } from "../../relay-process.js";
import { CommandLine, mainPath } from "../command-line.js";
import { useFileRelay } from "../file-relay.js";

const relay = useFileRelay({ graceMs: 2_000 });
const { command } = relay;

/** Something in the relay's place that takes connections and says nothing until it is told to pass them on. */
async function silentRelay() {
  const sockets: Socket[] = [];
  const server = createServer((socket) => {
    socket.on("error", () => {});
    sockets.push(socket);
  }).listen(0, "127.0.0.1");
  onTestFinished(() => {
    server.close();
    for (const socket of sockets) socket.destroy();
  });
  await once(server, "listening");
  return {
    server,
    origin: `http://127.0.0.1:${(server.address() as AddressInfo).port}`,
    passOn() {
      for (const socket of [...sockets]) {
        const there = connect(Number(new URL(relay.origin).port), "127.0.0.1").on("error", () => {});
        sockets.push(there);
        socket.pipe(there).pipe(socket);
      }
    },
  };
}

/** The command's end, which must not wait for what the interruption was to end. */
async function interrupted({ child, exitCode }: CommandLine): Promise<number | null> {
  child.kill("SIGINT");
  child.stdout.resume();
  return exitCode;
}

test.each([
  ["connect", "name"],
  ["connect", "name", "--port", "0"],
  ["listen", "name"],
  ["listen", "name", "--to", "127.0.0.1:1"],
  ["listen", "name", "--http", "127.0.0.1:1"],
  ["ls"],
])(
  "while the relay does not answer, Ctrl-C ends %s %s %s at once",
  async (...args) => {
    const { server, origin } = await silentRelay();
    const waiting = new CommandLine([...args, "--relay", origin]);
    await once(server, "connection");
    expect(await interrupted(waiting)).toBe(130);
    expect(waiting.errorLines).toHaveLength(1);
    // The command itself would wait for ten seconds.
  },
  8_000,
);

test("Ctrl-C before the relay has answered leaves no name behind", async () => {
  const { server, origin, passOn } = await silentRelay();
  const listener = new CommandLine(["listen", "early", "--relay", origin]);
  await once(server, "connection");
  const ended = interrupted(listener);
  passOn();
  expect(await ended).toBe(130);
  expect(await command("connect", "early").run()).toMatchObject({ code: 3 });
});

test.each([
  ["SIGINT", 130, []],
  ["SIGTERM", 143, []],
  ["SIGINT", 130, ["--to", "127.0.0.1:1"]],
  ["SIGTERM", 143, ["--to", "127.0.0.1:1"]],
] as const)("%s frees the name of a listener at once: %i %j", async (signal, code, to) => {
  const listener = command("listen", "freed", ...to);
  await listener.hasSaid();
  listener.child.kill(signal);
  listener.child.stdout.resume();
  expect(await listener.exitCode).toBe(code);
  // A relay that took the listener for one that is coming back would refuse it.
  const next = StreamServer(relay.origin).listen("freed");
  await next.ready;
  await next.end();
});

test("while standard input stands still and the other side has finished, Ctrl-C ends it", async () => {
  const server = StreamServer(relay.origin).listen("idle");
  onTestFinished(() => server.end());
  await server.ready;
  const client = command("connect", "idle");
  const { value: stream } = await server[Symbol.asyncIterator]().next();
  if (stream === undefined) throw new Error("the server ended");
  // Its close resolves when the command has everything.
  const writer = stream.writable.getWriter();
  await writer.write("all I had to say");
  await writer.close();
  expect(await interrupted(client)).toBe(130);
});

test("while standard input stands still, the other side that does not come back is noticed: 7", async () => {
  const listener = command("listen", "gone");
  await listener.hasSaid();
  const client = command("connect", "gone");
  listener.child.stdin.end("all I had to say");
  await once(client.child.stdout, "data");
  client.child.stdout.resume();
  listener.child.kill("SIGKILL");
  expect(await client.exitCode).toBe(7);
  // The listener is waited for, and then it is lost.
  expect(client.errorLines).toHaveLength(2);
});

test("while nobody reads standard output, Ctrl-C ends it", async () => {
  const server = StreamServer(relay.origin, async (stream) => {
    const writer = stream.writable.getWriter();
    try {
      for (;;) await writer.write(new Uint8Array(65_536));
    } catch {
      // The command was interrupted.
    }
  }).listen("endless");
  onTestFinished(() => server.end());
  await server.ready;
  const client = command("connect", "endless");
  await once(client.child.stdout, "readable");
  client.child.kill("SIGINT");
  const [code] = await once(client.child, "exit");
  client.child.stdout.resume();
  expect(code).toBe(130);
});

test("Ctrl-C on listen --to resets what it cuts short, at both ends", async () => {
  const target = createServer().listen(0, "127.0.0.1");
  onTestFinished(() => void target.close());
  await once(target, "listening");
  const far = command("listen", "cut", "--to", `127.0.0.1:${(target.address() as AddressInfo).port}`);
  const near = command("connect", "cut", "--port", "0");
  await far.hasSaid();
  const port = Number(/127\.0\.0\.1:(\d+)/.exec(await near.hasSaid())?.[1]);
  const socket = connect({ port, host: "127.0.0.1" });
  socket.write("something");
  const [there] = (await once(target, "connection")) as [Socket];
  await once(there, "data");
  const resets = Promise.all([once(socket, "error"), once(there, "error")]);
  expect(await interrupted(far)).toBe(130);
  expect((await resets).map(([error]) => error.code)).toEqual(["ECONNRESET", "ECONNRESET"]);
  expect(far.errorLines).toHaveLength(2);
  expect(await interrupted(near)).toBe(130);
});

test.each([
  ["ls", 141],
  ["--help", 141],
])("%s into a pipe that nobody reads: %i, in one line", async (args, code) => {
  const server = StreamServer(relay.origin, { listed: true }).listen("listed");
  onTestFinished(() => server.end());
  await server.ready;
  const child = spawn(process.execPath, [mainPath, args], {
    env: { ...process.env, BSS_RELAY: relay.origin },
    stdio: ["ignore", "pipe", "pipe"],
  });
  child.stdout.destroy();
  let errors = "";
  child.stderr.on("data", (text) => {
    errors += text;
  });
  expect((await once(child, "close"))[0]).toBe(code);
  expect(errors.trim().split("\n")).toHaveLength(1);
});

test("a relay goes on when nobody reads its log, and a listener when nobody reads its errors", async () => {
  const own = await startRelay("--host", "127.0.0.1");
  onTestFinished(() => void own.stop());
  own.child.stdout?.destroy();
  const listen = async () => {
    const server = StreamServer(own.origin).listen("name");
    await server.ready;
    await server.end();
  };
  await listen();
  await listen();
  const listener = new CommandLine(["listen", "web", "--to", "127.0.0.1:1", "--relay", own.origin]);
  await listener.hasSaid();
  listener.child.stderr.destroy();
  const refused = () => new CommandLine(["connect", "web", "--relay", own.origin]).run();
  expect([(await refused()).code, (await refused()).code]).toEqual([5, 5]);
});
