import { execFile } from "node:child_process";
import { readFileSync } from "node:fs";
import { mkdtemp, readFile, rm, writeFile } from "node:fs/promises";
import { createServer } from "node:http";
import type { AddressInfo } from "node:net";
import { tmpdir } from "node:os";
import { basename, dirname, join } from "node:path";
import { promisify } from "node:util";
import { Client } from "@modelcontextprotocol/sdk/client/index.js";
import { StdioClientTransport } from "@modelcontextprotocol/sdk/client/stdio.js";
import { StreamableHTTPClientTransport } from "@modelcontextprotocol/sdk/client/streamableHttp.js";
import { ToolListChangedNotificationSchema } from "@modelcontextprotocol/sdk/types.js";
import { StreamClient } from "browser-stream-server";
import { McpTransport } from "browser-stream-server/mcp";
import { StreamServerProxy } from "browser-stream-server/server";
import type { Browser, Page } from "playwright-core";
import { build, type Rolldown } from "vite";
import { afterAll, beforeAll, describe, expect, onTestFinished, test } from "vitest";
import { root } from "../../gate/command.js";
import { openRelay } from "../../integration/relay-ports.js";
import { readmeBlocks } from "../../readme.js";
import { launchBrowser } from "../browser.js";
import { serveExample } from "../built-example.js";
import { freePort, start } from "../started-server.js";

const guide = readFileSync(join(root, "docs/agents.md"), "utf8");
const info = { name: "test", version: "1" };

let browser: Browser;

beforeAll(async () => {
  browser = await launchBrowser();
});

afterAll(() => browser?.close());

function command(beginning: string): string {
  const found = readmeBlocks("sh", guide).find((block) => block.startsWith(beginning));
  if (found === undefined) throw new Error(`docs/agents.md has no ${beginning}`);
  return found.trim();
}

async function open(url: string): Promise<Page> {
  const context = await browser.newContext();
  onTestFinished(() => context.close());
  const page = await context.newPage();
  const faults: string[] = [];
  page.on("pageerror", (error) => faults.push(error.message));
  onTestFinished(() => expect(faults).toEqual([]));
  await page.goto(url);
  await isOpenToAgents(page);
  return page;
}

const isOpenToAgents = (page: Page) => page.getByText("Open to agents").waitFor();
const answer = (page: Page, words: string) => page.getByRole("button", { name: words }).click();
const textOf = ({ content }: object & { content?: unknown }) => (content as { text: string }[])[0]?.text;
const environment = { ...process.env, PATH: `${dirname(process.execPath)}:${process.env.PATH}` };

/** The words of a command of the guide or the page, which are run without a shell. */
const wordsOf = (text: string): string[] =>
  [...text.matchAll(/"([^"]*)"|(\S+)/g)].map(([, quoted, word]) => quoted ?? word ?? "");

describe("docs/agents.md, in a clone", () => {
  test("leads to a tool in a tab that stock clients call, once the user allows it", async () => {
    const page = await open(await start(`${command("npx vite")} --port ${await freePort()}`, root));
    const url = (await page.locator("#url").textContent()) ?? "";
    const example = command("node examples/mcp/agent.js");
    expect(example).toContain(" http://localhost:5173/~/");
    const [program = "", ...args] = wordsOf(example.replace(/http:\S+/, url));
    const agent = promisify(execFile)(program, args, { cwd: root, env: environment });
    await page.getByText("not verified").waitFor();
    await answer(page, "Allow for this session");
    expect((await agent).stdout).toBe("[ ] buy milk\n");
    await page.getByLabel("buy milk").waitFor();
    await answer(page, "Revoke");

    // The command is called by the official client, as one that starts programs calls it.
    const [npx = "", ...commandArgs] = wordsOf((await page.locator("#command").textContent()) ?? "");
    expect(readmeBlocks("json", guide).some((block) => block.includes(`"command": "${npx}"`))).toBe(true);
    const client = new Client(info);
    onTestFinished(() => client.close());
    const connected = client.connect(
      new StdioClientTransport({
        command: npx,
        args: commandArgs,
        cwd: root,
        env: environment as never,
        stderr: "ignore",
      }),
    );
    await answer(page, "Allow once");
    await connected;
    await client.callTool({ name: "check_item", arguments: { text: "buy milk", done: true } });
    expect(await page.getByLabel("buy milk").isChecked()).toBe(true);

    // A page that is loaded again has forgotten what it was told, and the client is where it was.
    const changed = new Promise<void>((resolve) => {
      client.setNotificationHandler(ToolListChangedNotificationSchema, () => resolve());
    });
    await page.reload();
    await answer(page, "Allow for this session");
    await changed;
    expect(textOf(await client.callTool({ name: "read_list" }))).toBe("[x] buy milk");

    const closed = new Promise<void>((resolve) => {
      client.onclose = resolve;
    });
    await answer(page, "Revoke");
    await answer(page, "Never");
    await closed;
    expect(await page.getByText("never", { exact: true }).count()).toBe(1);
  });
});

test("a tab with an McpTransport is called by the official client, by the samples of docs/agents.md", async () => {
  const relay = await openRelay();
  onTestFinished(() => relay.close());
  const sample = readmeBlocks("js", guide).find(
    (block) => block.includes("document.title") && block.includes("McpTransport"),
  );
  const entry = join(root, "test/.out/agents-sample.js");
  await writeFile(entry, `const relayUrl = location.origin;\n${sample}`);
  const lib = { entry, formats: ["es" as const] };
  const built = await build({ root, configFile: false, logLevel: "error", build: { write: false, lib } });
  const [chunk] = (built as Rolldown.RolldownOutput[])[0]?.output ?? [];
  const context = await browser.newContext();
  onTestFinished(() => context.close());
  const page = await context.newPage();
  const html = `<!doctype html><title>A tab</title>`;
  await page.route("**/page.html", (route) => route.fulfill({ contentType: "text/html", body: html }));
  await page.goto(`${relay.origin}/page.html`);
  await page.addScriptTag({ type: "module", content: chunk?.code ?? "" });
  const client = new Client(info);
  onTestFinished(() => client.close());
  const stream = StreamClient(relay.origin).connect("page", { waitForListenerMs: 10_000 });
  await client.connect(new McpTransport(stream));
  expect(textOf(await client.callTool({ name: "title" }))).toBe("A tab");
});

test("the page of examples/mcp says who calls, as the relay has verified it", async () => {
  const outDir = await mkdtemp(join(tmpdir(), "bss-agents-"));
  onTestFinished(() => rm(outDir, { recursive: true }));
  await build({ root: join(root, "examples/mcp"), logLevel: "error", build: { outDir, emptyOutDir: true } });
  const files = new Map([["/", join(outDir, "index.html")]]);
  const server = createServer(async ({ url = "/" }, response) => {
    const path = files.get(url) ?? join(outDir, "assets", basename(url));
    response.setHeader("content-type", path.endsWith(".js") ? "text/javascript" : "text/html");
    response.end(await readFile(path));
  });
  const authorize = ({ token }: { token: string }) => (token === "" ? {} : { subject: token, name: "Ann of Sales" });
  const proxy = StreamServerProxy({ authorize, gateway: { by: "path" } }).install(server);
  await new Promise<void>((resolve) => server.listen(0, "127.0.0.1", resolve));
  onTestFinished(async () => {
    await proxy.close();
    server.close();
    server.closeAllConnections();
  });
  const page = await open(`http://localhost:${(server.address() as AddressInfo).port}/`);
  const url = (await page.locator("#url").textContent()) ?? "";
  const openClient = async (token: string, origin: string) => {
    const headers = { authorization: `Bearer ${token}`, origin };
    const client = new Client(info);
    onTestFinished(() => client.close());
    await client.connect(new StreamableHTTPClientTransport(new URL(url), { requestInit: { headers } }));
    return client;
  };
  const connected = openClient("ann", "https://agent.example");
  await page.getByText("Ann of Sales wants to use your list").waitFor();
  await page.getByText("ann, verified by the relay").waitFor();
  // As this client shows, a program can claim an origin.
  await page.getByText("https://agent.example, or a program that says so").waitFor();
  // Another caller is asked for by itself, and may be told no.
  const refused = expect(openClient("bob", "https://other.example")).rejects.toMatchObject({ code: 403 });
  await page.getByText("bob, verified by the relay").waitFor();
  await page.locator(".question", { hasText: "bob" }).getByRole("button", { name: "Never" }).click();
  await refused;
  await answer(page, "Allow once");
  const client = await connected;
  expect(textOf(await client.callTool({ name: "read_list" }))).toBe("The list is empty.");
  await page.getByText("Ann of Sales: read_list").waitFor();
});

test("the page of examples/mcp asks about four strangers at once, and declines more", async () => {
  const page = await open(`http://127.0.0.1:${await serveExample("mcp")}/`);
  const url = (await page.locator("#url").textContent()) ?? "";
  const leaving = new AbortController();
  const call = (stranger: number) =>
    fetch(url, { method: "POST", headers: { origin: `https://${stranger}.example` }, signal: leaving.signal });
  const calls = Array.from({ length: 6 }, (_, stranger) => call(stranger));
  const statuses: number[] = [];
  await new Promise<void>((resolve) => {
    const onAnswer = ({ status }: Response) => {
      if (statuses.push(status) === 2) resolve();
    };
    // The calls that are still asked about are given up below.
    for (const answered of calls) answered.then(onAnswer, () => {});
  });
  expect(statuses).toEqual([403, 403]);
  expect(await page.locator(".question").count()).toBe(4);
  // Strangers who do not wait for the answer are not asked about any more, and others are.
  leaving.abort();
  await page.waitForFunction("document.querySelectorAll('.question').length === 0");
  const allowed = fetch(url, { method: "POST", headers: { origin: "https://7.example" } });
  await page.getByText("https://7.example").waitFor();
  await answer(page, "Allow once");
  expect((await allowed).status).toBe(406);
});
