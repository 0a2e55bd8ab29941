import { spawn } from "node:child_process";
import { once } from "node:events";
import { text } from "node:stream/consumers";
import { fileURLToPath } from "node:url";
import { Failure, StreamServer } from "browser-stream-server";
import { afterEach, beforeEach, describe, expect, onTestFinished, test } from "vitest";
import { openRelay, type TestRelay } from "../../integration/relay-ports.js";

const program = fileURLToPath(new URL("../../fixtures/no-handlers.mjs", import.meta.url));

let relay: TestRelay;

beforeEach(async () => {
  relay = await openRelay({ limits: { graceMs: 500 } });
});

afterEach(() => relay.close());

/** A program as its user sees it: a first line of output, and, at its end, its errors and its exit code. */
function run(url: string, what: string) {
  const child = spawn(process.execPath, [program, url, what], { stdio: ["ignore", "pipe", "pipe"] });
  onTestFinished(() => void child.kill("SIGKILL"));
  const exited = once(child, "exit");
  const errors = text(child.stderr);
  return {
    begun: once(child.stdout, "data"),
    async ended() {
      const [code] = await exited;
      return { code, lines: (await errors).split("\n").slice(0, -1) };
    },
  };
}

/** The program has ended as if nothing was, and has said in one line what there was. */
async function hasSaid(
  ended: Promise<{ code: unknown; lines: string[] }>,
  failure: Failure,
  url: string,
): Promise<void> {
  const { code, lines } = await ended;
  expect(code).toBe(0);
  expect(lines).toHaveLength(1);
  for (const part of [Failure[failure], '"N"', url]) expect(lines[0]).toContain(part);
}

describe("a program in Node without a handler for errors says why it ended", () => {
  test("when nobody listens on a name", async () => {
    await hasSaid(run(relay.origin, "connects").ended(), Failure.NO_SUCH_NAME, relay.url);
  });

  test("when a name is taken", async () => {
    const server = StreamServer(relay.origin, () => {}).listen("N");
    await server.ready;
    await hasSaid(run(relay.origin, "claims").ended(), Failure.NAME_TAKEN, relay.url);
    await server.end();
  });

  test("when there is no relay", async () => {
    await relay.close();
    await Promise.all(
      ["claims", "connects"].map((what) => hasSaid(run(relay.origin, what).ended(), Failure.LEG_LOST, relay.url)),
    );
  });

  test("when the relay goes away for longer than the grace period, for its server and for its stream", async () => {
    const listener = run(relay.origin, "listens");
    await listener.begun;
    const client = run(relay.origin, "connects");
    await client.begun;
    await relay.close();
    for (const { code, lines } of await Promise.all([listener.ended(), client.ended()])) {
      expect(code).toBe(0);
      for (const line of lines) for (const part of ['"N"', relay.url]) expect(line).toContain(part);
    }
    // The listener had a server and a stream.
    expect((await listener.ended()).lines).toHaveLength(2);
    expect((await client.ended()).lines).toHaveLength(1);
  });

  test("but nothing where it ended everything itself", async () => {
    expect(await run(relay.origin, "ends").ended()).toEqual({ code: 0, lines: [] });
  });
});
