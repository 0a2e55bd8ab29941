import { afterAll, beforeAll, describe, expect, test } from "vitest";
import { holdsNothing, openRelay, type TestRelay } from "../../integration/relay-ports.js";
import { until } from "../../integration/until.js";
import { CommandLine } from "../command-line.js";

let relay: TestRelay;

beforeAll(async () => {
  relay = await openRelay();
});

afterAll(() => relay.close());

function command(...args: string[]): CommandLine {
  return new CommandLine(args, { BSS_RELAY: relay.origin });
}

/** Resolves with the output of a listener, once a client that waits for it has sent its input. */
async function heardAfter(...wait: string[]): Promise<string> {
  const near = command("connect", "late", ...wait);
  near.child.stdin.end("from here");
  await until(() => relay.proxy.counts.offers === 1);
  const far = await command("listen", "late").run();
  expect([far.code, (await near.output()).toString(), await near.exitCode]).toEqual([0, "", 0]);
  return far.output;
}

describe("bss connect", () => {
  test.each([[["--wait"]], [["--wait-ms", "60000"]]])("%s waits until somebody listens", async (wait) => {
    expect(await heardAfter(...wait)).toBe("from here");
    await holdsNothing(relay, "links");
  });

  test.each([[["--wait-ms", "0"]], [["--wait-ms", "1"]]])("%s says that nobody listens: 3", async (wait) => {
    const { code, errorLines } = await command("connect", "nobody", ...wait).run();
    expect([code, errorLines.length]).toEqual([3, 1]);
  });

  test("--wait-ms takes milliseconds", async () => {
    expect(await command("connect", "late", "--wait-ms", "10s").run()).toMatchObject({ code: 2 });
  });
});
