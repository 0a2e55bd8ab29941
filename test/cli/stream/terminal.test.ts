import { spawn } from "node:child_process";
import { once } from "node:events";
import { StreamClient, StreamServer } from "browser-stream-server";
import { expect, onTestFinished, test } from "vitest";
import { startRelay } from "../../relay-process.js";
import { mainPath } from "../command-line.js";
import { startOperatorRelay } from "../operator-relay.js";

const esc = "\u001b";

/** Runs a shell's command line on a terminal of its own; `printed` is what it shows. */
function onTerminal(commandLine: string) {
  const child = spawn("script", ["--quiet", "--return", "--command", commandLine, "/dev/null"], {
    stdio: ["pipe", "pipe", "inherit"],
    env: { ...process.env, BSS: `${process.execPath} ${mainPath}`, TERM: "xterm" },
  });
  const exited = once(child, "close").then(([code]) => code as number | null);
  let printed = "";
  let onPrinted = () => {};
  child.stdout.setEncoding("utf8").on("data", (text: string) => {
    printed += text;
    onPrinted();
  });
  onTestFinished(async () => {
    child.kill("SIGKILL");
    await exited;
  });
  return {
    child,
    exited,
    async shows(pattern: RegExp): Promise<string> {
      for (;;) {
        const match = pattern.exec(printed);
        if (match !== null) return match[1] ?? match[0];
        await Promise.race([
          new Promise<void>((resolve) => {
            onPrinted = resolve;
          }),
          exited.then((code) => {
            if (!pattern.test(printed)) throw new Error(`ended with ${code} after: ${printed}`);
          }),
        ]);
      }
    },
  };
}

test("serve shows a QR code where somebody can see it", async () => {
  // This machine has an address by which a telephone reaches it.
  const relay = onTerminal("exec $BSS serve --port 0 --open");
  await relay.shows(/http:\/\/localhost:\d+\//);
  // The upper edges of the two finder patterns, which a camera looks for.
  await relay.shows(/█ ▄▄▄▄▄ █.*█ ▄▄▄▄▄ █/);
  relay.child.stdin.write("\u0003");
  expect(await relay.exited).toBe(0);
});

test("serve shows no QR code where only this machine reaches the relay", async () => {
  const relay = onTerminal("exec $BSS serve --port 0");
  await relay.shows(/relay under/);
  relay.child.stdin.write("\u0003");
  expect(await relay.exited).toBe(0);
  const printed = await relay.shows(/.*/s);
  expect(printed).toContain("interrupted");
  expect(printed).not.toContain("▄");
});

test("a person at a terminal need not end the input: the other side's end does it", async () => {
  const relay = await startRelay("--host", "127.0.0.1");
  onTestFinished(() => void relay.stop());
  const chat = onTerminal(`exec $BSS listen chat --relay ${relay.origin}`);
  await chat.shows(/listening/);
  const stream = StreamClient(relay.origin).connect("chat");
  stream.write("hello there");
  await chat.shows(/hello there/);
  chat.child.stdin.write("hello yourself\n");
  const messages = stream[Symbol.asyncIterator]();
  expect((await messages.next()).value).toEqual(new TextEncoder().encode("hello yourself\n"));
  stream.end();
  expect(await messages.next()).toMatchObject({ done: true });
  expect(await chat.exited).toBe(0);
});

test("a transfer of some length shows how it goes, and then how it went", async () => {
  const relay = await startRelay("--host", "127.0.0.1");
  onTestFinished(() => void relay.stop());
  let goOn = () => {};
  const going = new Promise<void>((resolve) => {
    goOn = resolve;
  });
  const server = StreamServer(relay.origin, async (stream) => {
    stream.end();
    for await (const _ of stream) await going;
  }).listen("file");
  onTestFinished(() => server.end());
  await server.ready;
  const client = onTerminal(`head -c 20M /dev/zero | $BSS connect file --relay ${relay.origin}`);
  await client.shows(/sent \d+\.\d [KM]iB, .*\/s, 0:0\d/);
  goOn();
  await client.shows(/sent 20\.0 MiB, .*\/s, 0:0\d\r?\n/);
  expect(await client.exited).toBe(0);
});

test("top draws on a screen of its own, and leaves that of the shell as it was", async () => {
  const { origin, operatorToken } = await startOperatorRelay();
  const top = onTerminal(`BSS_TOKEN=${operatorToken} exec $BSS top --relay ${origin}`);
  // Drawn anew, over what was there.
  await top.shows(new RegExp(`${esc}\\[\\?1049h.*up 0:0.*${esc}\\[Hup 0:0`, "s"));
  top.child.stdin.write("\u0003");
  await top.shows(new RegExp(`${esc}\\[\\?1049l`));
  expect(await top.exited).toBe(130);
});

test("top says on the shell's own screen that it is refused", async () => {
  const { origin, userToken } = await startOperatorRelay();
  const top = onTerminal(`BSS_TOKEN=${userToken} exec $BSS top --relay ${origin}`);
  expect(await top.exited).toBe(9);
  expect(await top.shows(/.*bss: .*/s)).not.toContain(esc);
});
