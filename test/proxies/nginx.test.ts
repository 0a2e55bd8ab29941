import { type ChildProcess, spawn } from "node:child_process";
import { createHash, randomBytes } from "node:crypto";
import { once } from "node:events";
import { mkdtemp, rm, writeFile } from "node:fs/promises";
import { createServer } from "node:net";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { createConnectTransport } from "@connectrpc/connect-web";
import { StreamClient, StreamServer } from "browser-stream-server";
import { afterAll, beforeAll, expect, test } from "vitest";
import { openRelay, type TestRelay } from "../integration/relay-ports.js";
import { readmeBlocks } from "../readme.js";
import { findNginx } from "../setup/nginx.js";

let relay: TestRelay;
let folder: string;
let nginx: ChildProcess;
let origin: string;

/** nginx takes no port 0: one that was free a moment ago. */
async function freePort(): Promise<number> {
  const server = createServer().listen(0, "127.0.0.1");
  await once(server, "listening");
  const address = server.address();
  await new Promise((resolve) => server.close(resolve));
  if (address === null || typeof address === "string") throw new Error("no port");
  return address.port;
}

beforeAll(async () => {
  const program = findNginx();
  if (program === undefined) throw new Error("no nginx: apt-get install nginx");
  relay = await openRelay();
  folder = await mkdtemp(join(tmpdir(), "nginx-"));
  const port = await freePort();
  origin = `http://127.0.0.1:${port}`;
  const location = (readmeBlocks("nginx")[0] ?? "").replace("http://127.0.0.1:8080", relay.origin);
  const paths = ["client_body", "proxy", "fastcgi", "uwsgi", "scgi"].map(
    (name) => `${name}_temp_path ${folder}/${name};`,
  );
  const config = `
    daemon off; user root; pid ${folder}/pid; error_log stderr; events {}
    http { access_log off; ${paths.join(" ")} server { listen 127.0.0.1:${port}; ${location} } }
  `;
  await writeFile(join(folder, "nginx.conf"), config);
  nginx = spawn(program, ["-c", join(folder, "nginx.conf"), "-e", "stderr"], {
    stdio: ["ignore", "ignore", "inherit"],
  });
  for (;;) {
    const answer = await fetch(origin).catch(() => undefined);
    if (answer !== undefined) return void (await answer.text());
  }
});

afterAll(async () => {
  nginx?.kill("SIGTERM");
  if (nginx !== undefined) await once(nginx, "exit");
  await relay?.close();
  await rm(folder, { recursive: true });
});

test("with the README's lines, 16 MiB go through nginx each way at once", async () => {
  const transport = () => createConnectTransport({ baseUrl: `${origin}/browser-server`, useBinaryFormat: true });
  const parts = Array.from({ length: 64 }, () => randomBytes(262_144));
  const sha256 = (chunks: Iterable<Uint8Array>) => {
    const hash = createHash("sha256");
    for (const chunk of chunks) hash.update(chunk);
    return hash.digest("hex");
  };
  const server = StreamServer(transport()).listen("behind nginx");
  await server.ready;
  const there = StreamClient(transport()).connect("behind nginx");
  const { value: here } = await server[Symbol.asyncIterator]().next();
  const exchange = async (stream: typeof there) => {
    const writer = stream.writable.getWriter();
    const sending = (async () => {
      for (const part of parts) await writer.write(part);
      await writer.close();
    })();
    const received: Uint8Array[] = [];
    for await (const chunk of stream) received.push(chunk as Uint8Array);
    await sending;
    return sha256(received);
  };
  expect(await Promise.all([exchange(here!), exchange(there)])).toEqual([sha256(parts), sha256(parts)]);
  await server.end();
});
