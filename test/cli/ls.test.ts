import { spawn } from "node:child_process";
import { once } from "node:events";
import { createInterface } from "node:readline";
import { text } from "node:stream/consumers";
import { StreamServer } from "browser-stream-server";
import { expect, onTestFinished, test } from "vitest";
import { startRelay } from "../relay-process.js";
import { CommandLine, mainPath } from "./command-line.js";
import { startLimitedRelay } from "./file-relay.js";

test("ls prints the names that are listed, and with --watch how they come and go", async () => {
  // The name of a listener that was killed goes when this is over.
  const relay = await startLimitedRelay({ graceMs: 500 });
  onTestFinished(() => void relay.stop());
  const listen = async (name: string, listed: boolean) => {
    const server = StreamServer(relay.origin, { listed }).listen(name);
    await server.ready;
    return server;
  };
  const servers = await Promise.all([listen("b\u001b[31m", true), listen("a", true), listen("hidden", false)]);
  const ls = (...args: string[]) => new CommandLine(["ls", ...args, "--relay", relay.origin]);
  expect(await ls().run()).toEqual({ code: 0, output: "a\n$'b\\033[31m'\n", errorLines: [] });
  expect((await ls("b").run()).output).toBe("$'b\\033[31m'\n");

  const watching = ls("--watch");
  const lines = createInterface({ input: watching.child.stdout })[Symbol.asyncIterator]();
  const next = async () => (await lines.next()).value;
  expect([await next(), await next()].sort()).toEqual(["+ $'b\\033[31m'", "+ a"]);
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

/** A shell's command line to its end, where $BSS is the command. */
async function shell(commandLine: string, relay: string): Promise<{ code: number | null; output: string }> {
  const child = spawn("bash", ["-c", commandLine], {
    env: { ...process.env, BSS: `${process.execPath} ${mainPath}`, BSS_RELAY: relay, LC_ALL: "C" },
    stdio: ["ignore", "pipe", "ignore"],
  });
  const [output, [code]] = await Promise.all([text(child.stdout), once(child, "close")]);
  return { code, output };
}

test("a name that ls prints leads to its listener when a shell reads it back", async () => {
  const relay = await startRelay("--host", "127.0.0.1");
  onTestFinished(() => void relay.stop());
  const names = ["invoice\u202efdp.exe", "\u009b31m", "-it's $HOME", "a\u2028b\\", "--help", "two  words", "tür/名前"];
  const servers = names.map((name) => {
    return StreamServer(relay.origin, { listed: true }, (stream) => {
      stream.resume();
      stream.end(name);
    }).listen(name);
  });
  await Promise.all(servers.map((server) => server.ready));
  const { output } = await shell("$BSS ls", relay.origin);
  const lines = output.split("\n").slice(0, -1);
  expect(lines).toContain("tür/名前");
  const answers = lines.map((line) => shell(`$BSS connect ${line}`, relay.origin));
  expect((await Promise.all(answers)).map((answer) => answer.output).sort()).toEqual([...names].sort());
  await Promise.all(servers.map((server) => server.end()));
});

test("a name with bytes that are no UTF-8 is refused, and one with U+FFFD is not: exit codes 2 and 3", async () => {
  const relay = await startRelay("--host", "127.0.0.1");
  onTestFinished(() => void relay.stop());
  for (const command of ["listen", "connect", "ls", "serve --config"]) {
    expect(await shell(`$BSS ${command} $'a\\xff'`, relay.origin)).toEqual({ code: 2, output: "" });
  }
  expect(await shell("$BSS connect $'a\\xef\\xbf\\xbd'", relay.origin)).toEqual({ code: 3, output: "" });
});
