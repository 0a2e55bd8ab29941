import { spawn } from "node:child_process";
import { once } from "node:events";
import { fileURLToPath } from "node:url";
import { Failure, StreamError, StreamServer } from "browser-stream-server";
import { afterAll, beforeAll, expect, test } from "vitest";
import { holdsNothing, openRelay, type TestRelay } from "../relay-ports.js";
import { standstill } from "../until.js";

const clientPath = fileURLToPath(new URL("../../fixtures/endless-client.mjs", import.meta.url));

let relay: TestRelay;

beforeAll(async () => {
  // The relay waits this long for a client that has vanished to come back.
  relay = await openRelay({ limits: { graceMs: 200 } });
});

afterAll(() => relay.close());

test.each(["link", "http2"])(
  "a client that vanishes over %s while it was not reading leaves nothing in the relay",
  async (way) => {
    let written = 0;
    const failures = new Set<Failure>();
    const server = StreamServer(relay.origin, async (stream) => {
      const writer = stream.writable.getWriter();
      const part = new Uint8Array(65_536);
      try {
        for (;;) {
          await writer.write(part);
          written += part.byteLength;
        }
      } catch (error) {
        if (error instanceof StreamError) failures.add(error.failure);
      }
    }).listen("endless");
    await server.ready;
    const child = spawn(process.execPath, [clientPath, relay.origin, way], { stdio: ["ignore", "inherit", "inherit"] });
    const exited = once(child, "exit");
    for (let last = written; written < 16 * 1_048_576; last = written) {
      await new Promise((resolve) => setTimeout(resolve, 10));
      expect(child.exitCode, `after ${last} bytes`).toBeNull();
    }
    child.kill("SIGSTOP");
    await standstill(() => written);
    child.kill("SIGKILL");
    await exited;
    await server.end();
    await holdsNothing(relay);
    expect([...failures]).toEqual([Failure.LEG_LOST]);
  },
);
