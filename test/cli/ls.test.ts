import { createInterface } from "node:readline";
import { StreamServer } from "browser-stream-server";
import { expect, onTestFinished, test } from "vitest";
import { startRelay } from "../relay-process.js";
import { CommandLine } from "./command-line.js";

test("ls prints the names that are listed, and with --watch how they come and go", async () => {
  const relay = await startRelay("--host", "127.0.0.1");
  onTestFinished(() => void relay.stop());
  const listen = async (name: string, listed: boolean) => {
    const server = StreamServer(relay.origin, { listed }).listen(name);
    await server.ready;
    return server;
  };
  const servers = await Promise.all([listen("b\u001b[31m", true), listen("a", true), listen("hidden", false)]);
  const ls = (...args: string[]) => new CommandLine(["ls", ...args, "--relay", relay.origin]);
  // What a terminal would take for a command is not printed.
  expect(await ls().run()).toEqual({ code: 0, output: "a\nb [31m\n", errorLines: [] });
  expect((await ls("b").run()).output).toBe("b [31m\n");

  const watching = ls("--watch");
  const lines = createInterface({ input: watching.child.stdout })[Symbol.asyncIterator]();
  const next = async () => (await lines.next()).value;
  expect([await next(), await next()].sort()).toEqual(["+ a", "+ b [31m"]);
  await servers[1]?.end();
  expect(await next()).toBe("- a");
  const listener = new CommandLine(["listen", "c", "--listed", "--relay", relay.origin]);
  expect(await next()).toBe("+ c");
  listener.child.kill("SIGKILL");
  expect(await next()).toBe("- c");
  watching.child.kill("SIGINT");
  expect(await watching.exitCode).toBe(130);
  await Promise.all(servers.map((server) => server.end()));
});
