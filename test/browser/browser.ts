import { readFile } from "node:fs/promises";
import { type Browser, type BrowserContext, chromium, type Page } from "playwright-core";
import { findChromium } from "../setup/chromium.js";

export function launchBrowser(): Promise<Browser> {
  const executablePath = findChromium();
  if (executablePath === undefined) throw new Error("no Chromium: set CHROMIUM to its path");
  return chromium.launch({
    executablePath,
    args: [
      "--no-sandbox",
      "--disable-gpu",
      "--disable-quic",
      "--no-first-run",
      "--disable-background-networking",
      // A page that a route fulfils has no address, and may then not open a WebSocket to this machine.
      "--disable-features=LocalNetworkAccessChecks,LocalNetworkAccessChecksWebSockets",
    ],
  });
}

/** A tab on a blank page of some origin, in which the package can be imported by its name. */
export interface Tab {
  page: Page;
  /** The lines that the page has printed. */
  printed: string[];
  /** Resolves when the page has printed the line. */
  prints(line: string): Promise<void>;
  /** Runs a module; what it throws while it loads rejects. */
  run(source: string): Promise<void>;
}

const bundled = (name: string) => readFile(new URL(`../.out/${name}.js`, import.meta.url), "utf8");
const blankPath = "/blank-page";

/**
 * A page in which modules have their names, without a second request: the browser need not be asked for one by the
 * test.
 */
async function blankPage(): Promise<string> {
  const sources = {
    "browser-stream-server": await bundled("package"),
    "browser-stream-server/contract": await bundled("contract"),
  };
  return `<!doctype html><link rel="icon" href="data:,"><script>
    const url = (code) => URL.createObjectURL(new Blob([code], { type: "text/javascript" }));
    const sources = Object.entries(${JSON.stringify(sources).replaceAll("<", "\\u003c")});
    const imports = Object.fromEntries(sources.map(([name, code]) => [name, url(code)]));
    const map = Object.assign(document.createElement("script"), { type: "importmap" });
    map.textContent = JSON.stringify({ imports });
    document.head.append(map);
  </script>`;
}

export async function openTab(context: BrowserContext, origin: string): Promise<Tab> {
  const page = await context.newPage();
  const body = await blankPage();
  await page.route(`**${blankPath}`, (route) => route.fulfill({ contentType: "text/html", body }));
  const printed: string[] = [];
  const waiting = new Set<() => void>();
  page.on("console", (message) => {
    printed.push(message.text());
    for (const check of [...waiting]) check();
  });
  page.on("pageerror", (error) => printed.push(`uncaught: ${error.message}`));
  await page.goto(origin + blankPath);
  // A page with a route has each of its requests stopped and looked at, bodies and all, which makes them many times
  // slower.
  await page.unrouteAll();
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
    // The program is text because the test runner rewrites an `import()` that it sees.
    run: (source) =>
      page.evaluate(
        `import(URL.createObjectURL(new Blob([${JSON.stringify(source)}], { type: "text/javascript" }))).then(() => {})`,
      ),
  };
}
