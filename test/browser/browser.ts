import { fileURLToPath } from "node:url";
import { type Browser, type BrowserContext, chromium, type Page } from "playwright-core";
import { findChromium } from "../setup/chromium.js";

export function launchBrowser(): Promise<Browser> {
  const executablePath = findChromium();
  if (executablePath === undefined) throw new Error("no Chromium: set CHROMIUM to its path");
  return chromium.launch({
    executablePath,
    args: ["--no-sandbox", "--disable-gpu", "--disable-quic", "--no-first-run", "--disable-background-networking"],
  });
}

/** A tab on a blank page of some origin, in which the package can be imported by its name. */
export interface Tab {
  page: Page;
  /** What the page has printed. */
  printed: string[];
  /** Resolves when the page has printed the line. */
  prints(line: string): Promise<void>;
  /** Runs a module; what it throws while it loads rejects. */
  run(source: string): Promise<void>;
}

const bundlePath = fileURLToPath(new URL("../.out/package.js", import.meta.url));
const blankPath = "/blank-page";
const packagePath = "/browser-stream-server.js";
const importMap = JSON.stringify({ imports: { "browser-stream-server": packagePath } });

export async function openTab(context: BrowserContext, origin: string): Promise<Tab> {
  const page = await context.newPage();
  await page.route(`**${packagePath}`, (route) => route.fulfill({ contentType: "text/javascript", path: bundlePath }));
  await page.route(`**${blankPath}`, (route) =>
    route.fulfill({
      contentType: "text/html",
      body: `<!doctype html><script type="importmap">${importMap}</script>`,
    }),
  );
  const printed: string[] = [];
  const waiting = new Set<() => void>();
  page.on("console", (message) => {
    printed.push(message.text());
    for (const check of [...waiting]) check();
  });
  page.on("pageerror", (error) => printed.push(`uncaught: ${error.message}`));
  await page.goto(origin + blankPath);
  return {
    page,
    printed,
    prints: (line) =>
      new Promise((resolve) => {
        const check = () => {
          if (!printed.includes(line)) return;
          waiting.delete(check);
          resolve();
        };
        waiting.add(check);
        check();
      }),
    // As text: the test runner rewrites an `import()` that it sees.
    run: (source) =>
      page.evaluate(
        `import(URL.createObjectURL(new Blob([${JSON.stringify(source)}], { type: "text/javascript" }))).then(() => {})`,
      ),
  };
}
