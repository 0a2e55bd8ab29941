import { execFileSync } from "node:child_process";
import { mkdirSync, mkdtempSync, rmSync, symlinkSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterAll, beforeAll, describe, expect, test } from "vitest";
import { type RelayProcess, startRelay } from "../../relay-process.js";
import { CommandLine } from "../command-line.js";

const top = mkdtempSync(join(tmpdir(), "bss-"));
const folder = join(top, "page");
let relay: RelayProcess;

beforeAll(async () => {
  for (const name of ["", ".git", "a b"]) mkdirSync(join(folder, name), { recursive: true });
  writeFileSync(join(top, "secret"), "secret");
  writeFileSync(join(folder, "index.html"), "<p>mine</p>");
  writeFileSync(join(folder, ".git", "config"), "secret");
  writeFileSync(join(folder, ".env"), "secret");
  writeFileSync(join(folder, "a b", "index.html"), "<p>inner</p>");
  writeFileSync(join(folder, "é.js"), "export {};");
  execFileSync("mkfifo", [join(folder, "pipe")]);
  symlinkSync("/nowhere", join(folder, "dangling"));
  relay = await startRelay("--host", "127.0.0.1", "--page", folder);
});

afterAll(async () => {
  await relay?.stop();
  rmSync(top, { recursive: true });
});

async function ask(path: string, init?: RequestInit) {
  const response = await fetch(relay.origin + path, init);
  return { status: response.status, headers: response.headers, url: response.url, text: await response.text() };
}

describe("bss serve --page", () => {
  test.each([
    ["/", "text/html; charset=utf-8", "<p>mine</p>"],
    ["/index.html?query", "text/html; charset=utf-8", "<p>mine</p>"],
    ["/a%20b", "text/html; charset=utf-8", "<p>inner</p>"],
    ["/%C3%A9.js", "text/javascript; charset=utf-8", "export {};"],
  ])("serves %s", async (path, type, text) => {
    const { status, headers, text: actual } = await ask(path);
    expect({ status, type: headers.get("content-type"), text: actual }).toEqual({ status: 200, type, text });
  });

  test.each([
    "/.env",
    "/%2Eenv",
    "/.git/config",
    "/..%2Fsecret",
    "/%2E%2E%5Csecret",
    "//secret",
    "/nothing",
    "/pipe",
    "/dangling",
    "/index.html/",
    "/%00",
    "/%E0%A4%A",
  ])("does not find %s", async (path) => {
    expect(await ask(path)).toMatchObject({ status: 404, text: "" });
  });

  test("sends a file that the browser has not, as it is now", async () => {
    const etag = (await ask("/")).headers.get("etag") ?? "";
    const unchanged = { headers: { "if-none-match": etag } };
    expect((await ask("/", unchanged)).status).toBe(304);
    writeFileSync(join(folder, "index.html"), "<p>still mine</p>");
    expect(await ask("/", unchanged)).toMatchObject({ status: 200, text: "<p>still mine</p>" });
    expect(await ask("/", { method: "HEAD" })).toMatchObject({ status: 200, text: "" });
    expect((await ask("/", { method: "POST" })).status).toBe(405);
  });

  test("leaves the relay where it was", async () => {
    expect((await ask("/browser-server/client.js")).status).toBe(200);
  });

  test("refuses what is no folder: exit code 2", async () => {
    const ended = await new CommandLine(["serve", "--port", "0", "--page", join(folder, "é.js")]).run();
    expect(ended).toMatchObject({ code: 2, errorLines: [expect.any(String)] });
  });
});
