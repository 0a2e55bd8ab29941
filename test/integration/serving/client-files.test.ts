import { once } from "node:events";
import { readFileSync } from "node:fs";
import { mkdtemp, rm, writeFile } from "node:fs/promises";
import { createServer } from "node:http";
import { connect } from "node:http2";
import type { AddressInfo } from "node:net";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { StreamServerProxy, type StreamServerProxyOptions } from "browser-stream-server/server";
import { describe, expect, onTestFinished, test } from "vitest";
import { run } from "../../gate/command.js";
import { openRelay } from "../relay-ports.js";

/** A page's program that uses the client with its types, and once against them. */
const page = `
  import { createClient, createWebSocketTransport, jsonCodec, RelayService, StreamServer } from "/browser-server/client.js";
  /** @typedef {{ kind: "move", x: number } | { kind: "say", text: string }} Message */
  /** @type {import("/browser-server/client.js").Codec<Message>} */
  const codec = jsonCodec();
  StreamServer(location.origin, { codec }, (stream) => {
    stream.on("data", (message) => message.kind === "say" && message.text.length);
    stream.write({ kind: "move", x: 1 });
    // @ts-expect-error: no message is of this kind.
    stream.write({ kind: "jump", x: 1 });
  }).listen("name");
  const directory = createClient(RelayService, createWebSocketTransport({ baseUrl: "/browser-server" }));
  for await (const { event } of directory.watch({})) if (event.case === "created") event.value.name.length;
`;

const built = (name: string) => readFileSync(new URL(`../../../dist/${name}`, import.meta.url), "utf8");

async function relayOf(options?: StreamServerProxyOptions) {
  const relay = await openRelay(options);
  onTestFinished(() => relay.close());
  return relay;
}

/** Asks for a file and reads the answer to its end, without which the connection stays open. */
async function ask(url: string, init?: RequestInit) {
  const response = await fetch(url, init);
  return { status: response.status, headers: response.headers, text: await response.text() };
}

describe("GET {prefix}/client.js", () => {
  test("answers with the bundle, which a browser asks for again each time and has once", async () => {
    const { url } = await relayOf();
    const first = await ask(`${url}/client.js?v=1`);
    expect(first.status).toBe(200);
    expect(Object.fromEntries(first.headers)).toMatchObject({
      "cache-control": "no-cache",
      "content-encoding": "gzip",
      "content-type": "text/javascript; charset=utf-8",
      "x-content-type-options": "nosniff",
      "x-typescript-types": "./client.d.ts",
      vary: expect.stringContaining("accept-encoding"),
    });
    expect(first.text).toBe(built("client.js"));
    const etag = first.headers.get("etag") ?? "";
    const again = await ask(`${url}/client.js`, { headers: { "if-none-match": `"other", ${etag}` } });
    expect(again.status).toBe(304);
    expect(again.headers.get("etag")).toBe(etag);
    expect((await ask(`${url}/client.js`, { headers: { "if-none-match": '"other"' } })).status).toBe(200);
  });

  test("leaves it as it is for who takes no gzip", async () => {
    const { url } = await relayOf();
    for (const encoding of ["identity", "br, gzip;q=0"]) {
      const { headers } = await ask(`${url}/client.js`, { headers: { "accept-encoding": encoding } });
      expect(headers.get("content-encoding")).toBeNull();
      expect(headers.get("content-length")).toBe(String(Buffer.byteLength(built("client.js"))));
    }
  });

  test("lets pages of the origins that are allowed import it, and no others", async () => {
    const { url } = await relayOf({ origins: ["https://allowed.example"] });
    const allowedFor = async (origin: string) =>
      (await ask(`${url}/client.js`, { headers: { origin } })).headers.get("access-control-allow-origin");
    expect(await allowedFor("https://allowed.example")).toBe("https://allowed.example");
    expect(await allowedFor("https://other.example")).not.toBe("https://other.example");
    const open = await relayOf({ origins: "*" });
    const { headers } = await ask(`${open.url}/client.js`, { headers: { origin: "null" } });
    expect(headers.get("access-control-allow-origin")).toBe("*");
  });

  test("serves its types beside it", async () => {
    const { url } = await relayOf();
    const response = await ask(`${url}/client.d.ts`);
    expect(response.headers.get("content-type")).toMatch(/^text\/plain/);
    expect(response.text).toBe(built("client.d.ts"));
    expect(response.text).not.toMatch(/^(import|export) .* from /m);
  });

  test("comes over HTTP/2 without TLS", async () => {
    const { url } = await relayOf();
    const session = connect(url);
    onTestFinished(() => void session.close());
    const request = session.request({ ":path": "/browser-server/client.js" });
    let bytes = 0;
    for await (const part of request) bytes += part.length;
    expect(bytes).toBe(Buffer.byteLength(built("client.js")));
  });

  test("leaves the root to others where the relay has a path besides", async () => {
    const proxy = StreamServerProxy({ prefix: ["/browser-server", ""] });
    const server = createServer((_, response) => response.end("my own")).listen(0, "127.0.0.1");
    proxy.install(server);
    await once(server, "listening");
    onTestFinished(() => {
      proxy.close();
      server.close();
      server.closeAllConnections();
    });
    const origin = `http://127.0.0.1:${(server.address() as AddressInfo).port}`;
    expect((await ask(`${origin}/client.js`)).text).toBe("my own");
    expect((await ask(`${origin}/browser-server/client.js`)).status).toBe(200);
    const rooted = await relayOf({ prefix: "" });
    expect((await ask(`${rooted.origin}/client.js`)).status).toBe(200);
  });
});

test("HEAD {prefix}/client.js has the headers alone, and other methods are not allowed", async () => {
  const { url } = await relayOf();
  const head = await ask(`${url}/client.js`, { method: "HEAD", headers: { "accept-encoding": "identity" } });
  expect(head.status).toBe(200);
  expect(head.headers.get("content-length")).toBe(String(Buffer.byteLength(built("client.js"))));
  expect(head.text).toBe("");
  const posted = await ask(`${url}/client.js`, { method: "POST", body: "x" });
  expect(posted.status).toBe(405);
  expect(posted.headers.get("allow")).toBe("GET, HEAD");
});

test("client.d.ts alone gives a page without packages its types", async () => {
  const folder = await mkdtemp(join(tmpdir(), "bss-types-"));
  onTestFinished(() => rm(folder, { recursive: true }));
  await writeFile(join(folder, "client.d.ts"), built("client.d.ts"));
  await writeFile(join(folder, "page.js"), page);
  const compilerOptions = {
    ...{ target: "es2022", module: "esnext", moduleResolution: "bundler", lib: ["es2023", "dom", "dom.asynciterable"] },
    ...{ types: [], strict: true, noEmit: true, allowJs: true, checkJs: true },
    paths: { "/browser-server/client.js": ["./client.d.ts"] },
  };
  await writeFile(join(folder, "tsconfig.json"), JSON.stringify({ compilerOptions, files: ["page.js"] }));
  expect(await run("tsc", ["-p", folder])).toEqual({ code: 0, output: "" });
});
