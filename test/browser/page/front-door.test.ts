import { existsSync, readFileSync } from "node:fs";
import { appendFile, cp, mkdir, mkdtemp, readFile, rm, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { dirname, join } from "node:path";
import type { Browser, Page } from "playwright-core";
import { afterAll, beforeAll, describe, expect, onTestFinished, test } from "vitest";
import { root, run } from "../../gate/command.js";
import { reachable } from "../../reachable.js";
import { readmeBlocks } from "../../readme.js";
import { launchBrowser } from "../browser.js";
import { freePort, start } from "../started-server.js";

const { devDependencies } = JSON.parse(readFileSync(join(root, "package.json"), "utf8")) as {
  devDependencies: Record<string, string>;
};
const companions = ["vite", "react", "react-dom", "@vitejs/plugin-react"];

let browser: Browser;
/** A folder in which somebody has followed the README's first command, and installed what a page with React needs. */
let folder: string;

beforeAll(async () => {
  [browser, folder] = await Promise.all([launchBrowser(), install()]);
});

afterAll(async () => {
  await browser?.close();
  if (folder !== undefined) await rm(folder, { recursive: true, maxRetries: 5 });
});

async function succeed(args: string[], cwd: string): Promise<string> {
  const { code, output } = await run("npm", args, { cwd });
  if (code !== 0) throw new Error(`npm ${args.join(" ")} (exit code ${code})\n${output}`);
  return output;
}

/** Does what `npm install browser-stream-server` does, with the package as it would be published. */
async function install(): Promise<string> {
  const empty = await mkdtemp(join(tmpdir(), "bss-front-door-"));
  const packed = await succeed(["pack", "--ignore-scripts", "--silent", "--pack-destination", empty], root);
  await writeFile(join(empty, "package.json"), JSON.stringify({ private: true, type: "module" }));
  const others = companions.map((name) => `${name}@${devDependencies[name]}`);
  await succeed(["install", "--prefer-offline", `./${packed.trim().split("\n").at(-1)}`, ...others], empty);
  return empty;
}

/** A folder inside the installed one, with the files given. */
async function project(name: string, files: Record<string, string>): Promise<string> {
  const path = join(folder, name);
  for (const [file, content] of Object.entries(files)) {
    await mkdir(dirname(join(path, file)), { recursive: true });
    await writeFile(join(path, file), content);
  }
  return path;
}

const startVite = async (cwd: string) => start(`npx vite --port ${await freePort()}`, cwd);

/** Opens a page, and adds its errors to `faults`. */
async function open(url: string, faults: string[] = []): Promise<Page> {
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

const says = (page: Page, text: string) => page.getByText(text).first().waitFor();

function readmeCommand(beginning: string): string {
  const found = readmeBlocks("sh").find((block) => block.startsWith(beginning));
  if (found === undefined) throw new Error(`the README has no ${beginning}`);
  return found.trim();
}

describe("by the README, from the installed package", () => {
  test("npx starts a relay with a page", async () => {
    const url = await start(`${readmeCommand("npx browser-stream-server serve\n")} --port 0`, folder);
    const page = await open(url);
    await page.locator("main[data-state=start]").waitFor();
  });

  test("a page without a bundler talks to itself in another tab", async () => {
    const [html = ""] = readmeBlocks("html");
    const cwd = await project("page", { "index.html": html });
    const url = await start(`${readmeCommand("npx browser-stream-server serve --page")} --port 0`, cwd);
    const faults: string[] = [];
    const host = await open(url, faults);
    await reachable(url, "room");
    const guest = await open(`${url}?guest`, faults);
    await Promise.all([says(host, "from a guest"), says(guest, "from the host")]);
    expect(faults).toEqual([]);
  });

  test("a page with React talks in StrictMode through a relay in Vite's server, beside hot updates", async () => {
    const [, , , config = ""] = readmeBlocks("js");
    const [app = ""] = readmeBlocks("jsx");
    const example = join(root, "examples/react");
    expect(await readFile(join(example, "vite.config.js"), "utf8")).toBe(config);
    expect(await readFile(join(example, "src/App.jsx"), "utf8")).toBe(app);
    const cwd = join(folder, "react");
    await cp(example, cwd, { recursive: true });
    const url = await startVite(cwd);
    const faults: string[] = [];
    const host = await open(url, faults);
    await says(host, "waiting for the other tab");
    await reachable(url, "room");
    const guest = await open(`${url}?guest`, faults);
    await says(guest, "say hello");
    await guest.getByRole("button").click();
    await says(host, "hello from there");
    await host.getByRole("button").click();
    await says(guest, "hello from there");

    // A hot update of a hook mounts the component again in the same page, which listens on the same name once more.
    await host.evaluate("globalThis.isSamePage = true");
    const changed = app.replace("waiting for", "still waiting for").replace("hello from there", "hello again");
    await writeFile(join(cwd, "src/App.jsx"), changed.replace("<button", '<button title="changed"'));
    await host.getByTitle("changed").waitFor();
    await reachable(url, "room");
    await guest.reload();
    await says(guest, "say hello");
    await guest.getByRole("button").click();
    await says(host, "hello again");
    expect(await host.evaluate("globalThis.isSamePage")).toBe(true);
    expect(faults).toEqual([]);

    // A change of the configuration restarts Vite's server, and its relay with it. The pages load again by themselves.
    // Vite may read a file that is written anew while it is empty.
    await appendFile(join(cwd, "vite.config.js"), "// changed\n");
    await host.waitForFunction("globalThis.isSamePage === undefined");
    await reachable(url, "room");
  });

  test("the relay in Vite's server stays out of a server without a port, as Vitest has one", async () => {
    const cwd = await project("middleware", { "vite.config.js": readmeBlocks("js")[3] ?? "" });
    const program = `
      import { createServer } from "vite";
      await (await createServer({ server: { middlewareMode: true, ws: false } })).close();
    `;
    await writeFile(join(cwd, "middleware.js"), program);
    expect(await run("node", ["middleware.js"], { cwd })).toMatchObject({ code: 0 });
  });

  test("npx serves the examples", async () => {
    const text = await readFile(join(folder, "node_modules/browser-stream-server/examples/README.md"), "utf8");
    const command = readmeBlocks("sh", text)
      .find((block) => block.startsWith("npx"))
      ?.trim();
    const page = await open(await start(`${command} --port 0`, folder));
    await page.getByRole("link", { name: "Echo" }).click();
    await says(page, "Open a client in another tab");
  });

  test("links lead to files that are installed too", async () => {
    const installed = join(folder, "node_modules/browser-stream-server");
    for (const page of ["README.md", "examples/README.md"]) {
      const text = await readFile(join(installed, page), "utf8");
      const links = [...text.matchAll(/(?<!!)\[[^\]]*\]\(([^)#:]+)(#[^)]*)?\)/g)].map(([, path = ""]) => path);
      expect(links.length).toBeGreaterThan(5);
      expect(links.filter((link) => !existsSync(join(installed, dirname(page), link)))).toEqual([]);
    }
  });

  test("a page in a server without a relay says so, and the console too where nobody listens for it", async () => {
    const cwd = join(folder, "no-relay");
    await cp(join(root, "examples/react"), cwd, { recursive: true });
    await rm(join(cwd, "vite.config.js"));
    const program = `import { StreamServer } from "browser-stream-server"; StreamServer(location.origin).listen("deaf");`;
    await writeFile(join(cwd, "deaf.html"), `<!doctype html><script type="module">${program}</script>`);
    const url = await startVite(cwd);
    const page = await open(url);
    const deaf = await browser.newPage();
    onTestFinished(() => deaf.close());
    const [told] = await Promise.all([
      deaf.waitForEvent("console", (message) => message.type() === "error" && message.text().includes("LEG_LOST")),
      deaf.goto(`${url}deaf.html`),
      says(page, "failed: "),
    ]);
    for (const text of [told.text(), await page.getByRole("button").textContent()]) {
      expect(text).toContain(`${url}browser-server`);
    }
    expect(told.text()).toContain("deaf");
  });
});
