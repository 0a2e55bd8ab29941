import { spawn } from "node:child_process";
import { once } from "node:events";
import { fileURLToPath } from "node:url";
import { StreamClient, StreamServer } from "browser-stream-server";
import { expect, test } from "vitest";
import { startRelay } from "../relay-process.js";

const mainPath = fileURLToPath(new URL("../../dist/server/main.js", import.meta.url));

async function run(...args: string[]): Promise<{ code: number | null; lines: string[] }> {
  const child = spawn(process.execPath, [mainPath, ...args], { stdio: ["ignore", "ignore", "pipe"] });
  let errors = "";
  child.stderr.on("data", (chunk) => {
    errors += chunk;
  });
  const [code] = (await once(child, "close")) as [number | null];
  return { code, lines: errors.trimEnd().split("\n") };
}

test("what cannot be done is said in one line, with an exit code", async () => {
  const relay = await startRelay("--host", "127.0.0.1");
  const taken = await run("--host", "127.0.0.1", "--port", new URL(relay.origin).port);
  expect(taken).toMatchObject({ code: 1, lines: [expect.any(String)] });
  for (const args of [["--port", "no"], ["--port", "65536"], ["--nonsense"], ["word"]]) {
    expect(await run(...args)).toMatchObject({ code: 2, lines: [expect.any(String)] });
  }
  expect((await run("--help")).code).toBe(0);
  await relay.stop();
});

test("Ctrl-C, even twice, ends it well while streams are open", async () => {
  const relay = await startRelay("--prefix", "/there");
  const server = StreamServer(relay.origin, { prefix: "/there" }, (stream) => stream.resume()).listen("name");
  await server.ready;
  const stream = StreamClient(relay.origin, { prefix: "there" }).connect("name");
  await stream.opened;
  relay.child.kill("SIGINT");
  expect(await relay.stop()).toBe(0);
  await expect(stream.closed).rejects.toThrow();
  await expect(server.closed).rejects.toThrow();
});

test("--origin lets another page in", async () => {
  const relay = await startRelay("--origin", "https://a.example", "--origin", "https://b.example");
  const { headers } = await fetch(`${relay.origin}/browser-server/streamserver.v1.RelayService/List`, {
    method: "OPTIONS",
    headers: { origin: "https://b.example", "access-control-request-method": "POST" },
  });
  expect(headers.get("access-control-allow-origin")).toBe("https://b.example");
  expect(await relay.stop()).toBe(0);
});
