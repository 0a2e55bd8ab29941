import { randomBytes } from "node:crypto";
import { mkdtemp, rm, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { setTimeout } from "node:timers/promises";
import { type Stream, StreamClient, StreamServer } from "browser-stream-server";
import { mintToken, type StreamRights } from "browser-stream-server/server";
import { expect, onTestFinished, test } from "vitest";
import { expiryIntervalMs } from "../../../server/admission/policy/grants.js";
import { BssRelay } from "../../chaos/relay/bss-relay.js";

/**
 * A token for 6 s is renewed when three quarters of its 5 to 6 s are over, and the first one has expired 6 s after the
 * begin. Those that took its place are good for another 3 s then, in which the relay is started again.
 */
const ttlMs = 6_000;

test("what was renewed outlives the relay and the first token: a name, its streams, and those of a name given back", {
  timeout: 60_000,
}, async () => {
  const folder = await mkdtemp(join(tmpdir(), "bss-"));
  onTestFinished(() => rm(folder, { recursive: true }));
  const secret = randomBytes(32).toString("base64url");
  await writeFile(join(folder, "secret"), `${secret}\n`, { mode: 0o600 });
  const relay = await BssRelay.start({ moreArgs: ["--secret-file", join(folder, "secret")] });
  onTestFinished(() => relay.close());
  const tokenOf = (subject: string, streams: StreamRights) => () =>
    mintToken({ secret, subject, streams, ttlMs, cut: true });
  const onStream = (stream: Stream) => {
    stream.on("data", (message) => stream.write(message)).on("error", () => {});
  };
  const beginMs = performance.now();
  const servers = ["kept", "given back"].map((name) => {
    const server = StreamServer(relay.origin, { token: tokenOf("ann", { "*": ["listen"] }) }, onStream);
    return server.on("error", () => {}).listen(name);
  });
  await Promise.all(servers.map(({ ready }) => ready));
  const client = StreamClient(relay.origin, { token: tokenOf("bob", { "*": ["connect"] }) });
  const streams = ["kept", "given back"].map((name) => client.connect(name).on("error", () => {}));
  await Promise.all(streams.map(({ opened }) => opened));
  await servers[1]?.end();
  const states = () => [...streams.map(({ state }) => state), servers[0]?.state];
  /** Lets time pass, as long as nothing ends. */
  const pass = async (untilMs: number) => {
    const ended = [...streams, ...servers.slice(0, 1)].map(({ closed }) => closed.catch(() => {}));
    await Promise.race([setTimeout(beginMs + untilMs - performance.now()), ...ended]);
  };
  await pass(ttlMs + expiryIntervalMs / 4);
  expect(states()).toEqual(["open", "open", "listening"]);
  await relay.end("SIGKILL");
  await relay.restart();
  const resumedAtMs = performance.now() - beginMs;
  await pass(resumedAtMs + 2 * expiryIntervalMs);
  expect(states()).toEqual(["open", "open", "listening"]);
  for (const stream of streams) {
    const echo = new Promise((resolve) => stream.once("data", resolve));
    stream.write("still there?");
    expect(String(await echo)).toBe("still there?");
    stream.destroy();
  }
  await servers[0]?.end();
});
