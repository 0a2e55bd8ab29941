import { spawn } from "node:child_process";
import { once } from "node:events";
import { cp, mkdir, mkdtemp, readdir, readFile, rm, symlink, writeFile } from "node:fs/promises";
import { createServer } from "node:net";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { createInterface } from "node:readline";
import { fileURLToPath } from "node:url";
import type { Browser, Page } from "playwright-core";
import { afterAll, beforeAll, expect, onTestFinished, test } from "vitest";
import { launchBrowser } from "./browser.js";

const root = fileURLToPath(new URL("../..", import.meta.url));
const packageName = "browser-stream-server";

let browser: Browser;
beforeAll(async () => {
  browser = await launchBrowser();
});
afterAll(() => browser?.close());

/** A copy of the example, in a folder where what it imports is installed. */
async function install(): Promise<string> {
  const folder = await mkdtemp(join(tmpdir(), "bss-vite-"));
  onTestFinished(() => rm(folder, { recursive: true, maxRetries: 5 }));
  await cp(join(root, "examples/react"), folder, { recursive: true });
  await writeFile(join(folder, "package.json"), JSON.stringify({ type: "module" }));
  const modules = join(folder, "node_modules");
  await mkdir(modules);
  for (const name of await readdir(join(root, "node_modules"))) {
    if (name !== packageName && !name.startsWith("."))
      await symlink(join(root, "node_modules", name), join(modules, name));
  }
  for (const name of ["package.json", "dist"]) {
    await cp(join(root, name), join(modules, packageName, name), { recursive: true });
  }
  return folder;
}

async function freePort(): Promise<number> {
  const server = createServer().listen(0);
  await once(server, "listening");
  const { port } = server.address() as { port: number };
  server.close();
  return port;
}

/** Vite's dev server, at a port that was free or the next one. Resolves with its URL. */
async function startVite(folder: string): Promise<string> {
  const vite = join(root, "node_modules/vite/bin/vite.js");
  const child = spawn(process.execPath, [vite, "--port", String(await freePort())], {
    cwd: folder,
    stdio: ["ignore", "pipe", "inherit"],
    env: { ...process.env, NO_COLOR: "1" },
  });
  const exited = once(child, "exit");
  onTestFinished(async () => {
    child.kill();
    await exited;
  });
  for await (const line of createInterface({ input: child.stdout })) {
    const url = /http:\/\/localhost:\d+\//.exec(line)?.[0];
    if (url !== undefined) return url;
  }
  throw new Error("Vite ended before it listened");
}

async function open(url: string, faults: string[]): Promise<Page> {
  const page = await browser.newPage();
  onTestFinished(() => page.close());
  page.on("pageerror", (error) => faults.push(error.message));
  page.on("console", (message) => {
    if (message.type() === "error") faults.push(message.text());
  });
  await page.route("**/favicon.ico", (route) => route.fulfill({ status: 204 }));
  await page.goto(url);
  return page;
}

test("examples/react: two tabs talk in StrictMode through a relay in Vite's server, beside hot updates", async () => {
  const folder = await install();
  const url = await startVite(folder);
  const faults: string[] = [];
  const says = (page: Page, text: string) => page.getByText(text, { exact: true }).waitFor();
  const host = await open(url, faults);
  await says(host, "nobody is here yet");
  const guest = await open(`${url}?guest`, faults);
  await guest.getByRole("button", { name: "say hello" }).click();
  await says(host, "a guest said: hello");
  await says(guest, "you said: hello");

  // A hot update of a hook mounts the component again in the same page, which listens on the same name once more.
  await Promise.all([host, guest].map((page) => page.evaluate("globalThis.isSamePage = true")));
  const app = join(folder, "src/App.jsx");
  const code = await readFile(app, "utf8");
  await writeFile(
    app,
    code.replace("opening the room", "opening the room again").replace("you said:", "you now said:"),
  );
  await says(host, "nobody is here yet");
  await guest.reload();
  await guest.getByRole("button", { name: "say hello" }).click();
  await says(guest, "you now said: hello");
  expect(await host.evaluate("globalThis.isSamePage")).toBe(true);
  expect(faults).toEqual([]);
});
