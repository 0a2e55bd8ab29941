import { randomBytes } from "node:crypto";
import { mkdtemp, rm, writeFile } from "node:fs/promises";
import { createServer } from "node:http";
import type { AddressInfo } from "node:net";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { createInterface } from "node:readline";
import { createWebSocketTransport, Failure, StreamClient, StreamServer } from "browser-stream-server";
import { mintToken } from "browser-stream-server/server";
import { expect, onTestFinished, test } from "vitest";
import { rejection } from "../../fakes/outcome.js";
import { CommandLine } from "../command-line.js";

type Line = Record<string, unknown>;

/** A relay that logs for programs, and what it has logged. */
async function logged(args: string[] = [], environment: Record<string, string> = {}) {
  const relay = new CommandLine(["serve", "--port", "0", "--host", "127.0.0.1", "--json", ...args], environment);
  const texts: string[] = [];
  const waiting = new Set<() => void>();
  const reader = createInterface({ input: relay.child.stdout });
  reader.on("line", (text) => {
    texts.push(text);
    for (const look of waiting) look();
  });
  /** Resolves with the first line that has the fields. */
  const line = (fields: Line) =>
    new Promise<Line>((resolve) => {
      const look = () => {
        const found = texts
          .map((text): Line => JSON.parse(text))
          .find((each) => Object.entries(fields).every(([key, value]) => each[key] === value));
        if (found !== undefined) resolve(found);
      };
      waiting.add(look);
      look();
    });
  const { addresses } = (await line({ event: "listening" })) as { addresses: [string] };
  return { relay, texts, line, origin: new URL(addresses[0]).origin };
}

test("--json logs a line for each lease, offer, stream, link, refusal and end, with the ids that both sides know", async () => {
  const { relay, texts, line, origin } = await logged();
  const server = StreamServer(origin, (stream) => void stream.on("error", () => {}).end("payload-secret"));
  await server.listen("name").ready;
  const claimed = await line({ event: "name.claimed", name: "name" });
  const transport = createWebSocketTransport({ baseUrl: `${origin}/browser-server` });
  const stream = StreamClient(transport).connect("name", { metadata: { key: "metadata-secret" } });
  stream.end("payload-secret");
  for await (const _ of stream);
  await stream.closed;
  const streamId = stream.id;
  expect(await line({ event: "stream.offered", streamId })).toMatchObject({ name: "name" });
  expect(await line({ event: "stream.accepted", streamId })).toMatchObject({ waitedMs: expect.any(Number) });
  expect(await line({ event: "stream.ended", streamId })).toMatchObject({
    name: "name",
    reason: "finished",
    bytes: { client: expect.any(Number), listener: expect.any(Number) },
    durationMs: expect.any(Number),
  });

  const failing = StreamClient(transport).connect("name");
  await failing.opened;
  failing.destroy(new Error("words-secret"));
  await rejection(failing.closed);
  expect(await line({ event: "stream.ended", streamId: failing.id })).toMatchObject({ hop: "client" });

  const refusal = await rejection(StreamClient(transport).connect("nobody").closed);
  expect(refusal.failure).toBe(Failure.NO_SUCH_NAME);
  expect(await line({ event: "refused" })).toMatchObject({ reason: "NO_SUCH_NAME", message: refusal.message });
  const opened = await line({ event: "link.opened" });

  await server.end();
  expect(await line({ event: "name.released", leaseId: claimed.leaseId })).toMatchObject({ reason: "unlisten" });
  relay.child.kill("SIGTERM");
  expect(await relay.exitCode).toBe(0);
  expect(await line({ event: "link.ended", linkId: opened.linkId })).toMatchObject({ reason: "DRAINING" });
  expect(texts.join("\n")).not.toMatch(/secret/);
  for (const text of texts) expect(text).toMatch(/^[ -~]+$/);
});

test("--metrics serves the metrics of the relay on an address of their own", async () => {
  const { relay, line } = await logged(["--metrics", "0"]);
  const { address } = (await line({ event: "metrics.listening" })) as { address: string };
  expect(new URL(address).hostname).toBe("127.0.0.1");
  expect(await (await fetch(address)).text()).toMatch(/^bss_ready 1$/m);
  relay.child.kill("SIGTERM");
  expect(await relay.exitCode).toBe(0);
});

test("a port of metrics that is in use ends the relay, with the option in the error", async () => {
  const taken = createServer().listen(0, "127.0.0.1");
  onTestFinished(() => void taken.close());
  await new Promise((resolve) => taken.once("listening", resolve));
  const { port } = taken.address() as AddressInfo;
  const args = ["serve", "--port", "0", "--host", "127.0.0.1", "--metrics", String(port)];
  const { code, errorLines } = await new CommandLine(args).run();
  expect({ code, errorLines }).toEqual({ code: 1, errorLines: [expect.stringContaining("--metrics")] });
});

test("--trace makes spans with the ids of the log", async () => {
  const spans = new URL("../../fixtures/print-spans.mjs", import.meta.url);
  const { relay, line, origin } = await logged(["--trace"], { NODE_OPTIONS: `--import ${spans}` });
  await rejection(StreamClient(origin).connect("nobody", { waitForListenerMs: 1 }).closed);
  const { streamId } = await line({ event: "stream.ended" });
  const span = JSON.parse(await relay.hasSaid());
  expect(span).toMatchObject({
    name: "stream",
    attributes: { "bss.stream.id": streamId, "bss.reason": "NO_SUCH_NAME" },
  });
});

test("--json says who calls with an access token, and never the token", async () => {
  const folder = await mkdtemp(join(tmpdir(), "bss-"));
  onTestFinished(() => rm(folder, { recursive: true }));
  const secretFile = join(folder, "secret");
  const [secret = "", foreign = ""] = [1, 2].map(() => randomBytes(32).toString("base64url"));
  await writeFile(secretFile, secret, { mode: 0o600 });
  const { texts, line, origin } = await logged(["--secret-file", secretFile]);
  const good = await mintToken({ secret, streams: { "**": ["listen", "connect"] }, subject: "ann" });
  const other = await mintToken({ secret: foreign, streams: { "**": ["connect"] }, subject: "eve" });
  const server = StreamServer(origin, { token: good }, (stream) => void stream.on("error", () => {}).end());
  await server.listen("name").ready;
  expect(await line({ event: "name.claimed" })).toMatchObject({ caller: { subject: "ann", address: "127.0.0.1" } });
  const transport = createWebSocketTransport({ baseUrl: `${origin}/browser-server` });
  const stream = StreamClient(transport, { token: good }).connect("name");
  stream.end().resume();
  await stream.closed;
  expect(await line({ event: "stream.ended" })).toMatchObject({ caller: { subject: "ann", door: "link" } });
  await rejection(StreamClient(transport, { token: other }).connect("name").closed);
  const refused = await line({ event: "refused" });
  expect(refused).toMatchObject({ call: "connect", reason: "NOT_PERMITTED", name: "name" });
  expect(refused.caller).not.toHaveProperty("subject");
  await server.end();
  const parts = [good, other].flatMap((token) => token.split("."));
  for (const part of [secret, ...parts]) expect(texts.join("\n")).not.toContain(part);
});
