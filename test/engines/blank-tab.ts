import { existsSync } from "node:fs";
import { readFile } from "node:fs/promises";
import { fileURLToPath } from "node:url";
import type { EngineTab } from "./engine.js";
import { within } from "./within.js";

const evaluateTimeoutMs = 90_000;
const gotoTimeoutMs = 30_000;
const screenshotTimeoutMs = 30_000;
const closeTimeoutMs = 15_000;

/** A path that no server knows: the page of a 404 without a body is blank. */
export const blankPath = "/blank-page";

/** The things that an engine's driver can do with a page. */
export interface Page {
  /** The string that an expression's promise resolves with. */
  evaluateText(expression: string): Promise<string>;
  goto(url: string): Promise<void>;
  goBack(): Promise<void>;
  screenshot(): Promise<Uint8Array>;
  close(): Promise<void>;
}

type Answer =
  | { kind: "value"; value?: unknown }
  | { kind: "error"; error: { name: string; message: string } }
  | { kind: "thrown"; thrown?: unknown };

/** The answer of an expression is text, so that every engine carries the same. */
const answering = (expression: string) => `(async () => {
  try {
    return JSON.stringify({ kind: "value", value: await (${expression}) });
  } catch (thrown) {
    if (!(thrown instanceof Error)) return JSON.stringify({ kind: "thrown", thrown });
    const { name, message } = thrown;
    return JSON.stringify({ kind: "error", error: { ...thrown, name, message } });
  }
})()`;

const built = (name: string) => fileURLToPath(new URL(`../.out/${name}.js`, import.meta.url));

/** The modules that a page can import by name. */
const modules = [
  { specifier: "browser-stream-server", path: built("package") },
  { specifier: "browser-stream-server/contract", path: built("contract") },
  ...["http", "http-contract", "connect", "service-contract", "conformance"].map((name) => ({
    specifier: `browser-stream-server/${name}`,
    path: built("over-http"),
  })),
  // They stand for the code that an application has beside the package.
  { specifier: "@connectrpc/connect", path: built("over-http") },
  { specifier: "calculator", path: built("over-http") },
];

async function importMapScript(): Promise<string> {
  const present = modules.filter(({ path }) => existsSync(path));
  const paths = [...new Set(present.map(({ path }) => path))];
  const sources = await Promise.all(paths.map((path) => readFile(path, "utf8")));
  const places = present.map(({ specifier, path }) => [specifier, paths.indexOf(path)] as const);
  // Specifiers of one module share its state.
  return `(() => {
    const url = (code) => URL.createObjectURL(new Blob([code], { type: "text/javascript" }));
    const urls = ${JSON.stringify(sources)}.map(url);
    const imports = Object.fromEntries(${JSON.stringify(places)}.map(([specifier, at]) => [specifier, urls[at]]));
    const map = Object.assign(document.createElement("script"), { type: "importmap" });
    map.textContent = JSON.stringify({ imports });
    document.head.append(map);
  })()`;
}

/** A tab, given how its engine's driver does the few things that differ. */
function pageTab(page: Page): EngineTab {
  async function evaluate(expression: string): Promise<unknown> {
    const text = await within(evaluateTimeoutMs, "evaluate", page.evaluateText(answering(expression)));
    const answer = JSON.parse(text) as Answer;
    if (answer.kind === "value") return answer.value;
    throw answer.kind === "error" ? Object.assign(new Error(answer.error.message), answer.error) : answer.thrown;
  }

  return {
    evaluate,
    async run(source) {
      // A page that the tab went to since has none.
      const isReady = await evaluate(`document.querySelector("script[type=importmap]") !== null`);
      if (!isReady) await evaluate(await importMapScript());
      const blob = `new Blob([${JSON.stringify(source)}], { type: "text/javascript" })`;
      await evaluate(`import(URL.createObjectURL(${blob})).then(() => {})`);
    },
    goto: (url) => within(gotoTimeoutMs, `goto ${url}`, page.goto(url)),
    goBack: () => within(gotoTimeoutMs, "go back", page.goBack()),
    screenshot: () => within(screenshotTimeoutMs, "screenshot", page.screenshot()),
    close: () => within(closeTimeoutMs, "close", page.close()),
  };
}

/** The tab of a page on a blank page of the origin; the page is closed if it cannot be had. */
export async function blankTab(page: Page, origin: string): Promise<EngineTab> {
  const tab = pageTab(page);
  try {
    await tab.goto(origin + blankPath);
    // WebKit's driver calls it a success when nothing answers.
    if ((await tab.evaluate("location.origin")) !== origin) throw new Error(`${origin} gives no page`);
    return tab;
  } catch (error) {
    await tab.close().catch(() => {});
    throw error;
  }
}
