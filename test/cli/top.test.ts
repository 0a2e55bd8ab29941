import { createInterface } from "node:readline";
import { describe, expect, test } from "vitest";
import { CommandLine } from "./command-line.js";
import { startOperatorRelay } from "./operator-relay.js";

/** The exit codes of a command line that cannot be understood, and of a command that the relay does not permit. */
const [usage, notPermitted] = [2, 9];
/** An operator finds the endpoint that a stream waits for within this time. */
const maxFindMs = 30_000;

/** The command with the token of an operator, and with that of somebody who may use all names. */
async function commands() {
  const { origin, operatorToken, userToken } = await startOperatorRelay();
  const as =
    (token: string) =>
    (command: string, ...args: string[]) =>
      new CommandLine([command, ...args, "--relay", origin], { BSS_TOKEN: token });
  return { asOperator: as(operatorToken), asUser: as(userToken) };
}

describe("bss top", () => {
  test("finds the endpoint that a stream waits for, and ends the stream", async () => {
    const { asOperator, asUser } = await commands();
    const listener = asUser("listen", "room");
    await listener.hasSaid();
    const client = asUser("connect", "room");
    client.child.stdin.write("first");
    for await (const _first of listener.child.stdout) break;
    const top = asOperator("top", "--watch");
    const lines = createInterface({ input: top.child.stdout });
    listener.child.kill("SIGSTOP");
    const stoppedAtMs = performance.now();
    client.child.stdin.write(Buffer.alloc(64_000));
    let streamId: string | undefined;
    for await (const line of lines) {
      streamId = /^listener to acknowledge +\S+ +(\S+) +room /.exec(line)?.[1];
      if (streamId !== undefined) break;
    }
    expect(performance.now() - stoppedAtMs).toBeLessThan(maxFindMs);
    const ended = await asOperator("top", "--end-stream", streamId ?? "", "--reason", "it hung").run();
    expect([ended.code, ended.output]).toEqual([0, ""]);
    expect(await client.exitCode).toBe(notPermitted);
    expect(client.errorLines.join("\n")).toContain("it hung");
    top.child.kill("SIGINT");
    expect(await top.exitCode).toBe(130);
  }, 60_000);

  test("prints one report where the output is no terminal, and takes a name back by its lease", async () => {
    const { asOperator, asUser } = await commands();
    const listener = asUser("listen", "a\u001b[31m");
    await listener.hasSaid();
    const { code, output } = await asOperator("top").run();
    expect([code, output]).toEqual([0, expect.stringMatching(/^up 0:\d\d {2}names 1 {2}streams 0 /)]);
    const [, leaseId = ""] = /^(\S+) +\$'a\\033\[31m' +0:\d\d +0 +127\.0\.0\.1$/m.exec(output) ?? [];
    const ended = await asOperator("top", "--end-lease", leaseId).run();
    expect([leaseId, ended.code, await listener.exitCode]).toEqual([expect.stringMatching(/.{22}/), 0, notPermitted]);
  });
});

test("bss serve --admin without a policy says in two lines what to do", async () => {
  const { code, errorLines } = await new CommandLine(["serve", "--port", "0", "--admin"]).run();
  expect([code, errorLines.length]).toEqual([usage, 2]);
});
