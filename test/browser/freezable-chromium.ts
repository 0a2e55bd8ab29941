import puppeteer, { type Browser } from "puppeteer-core";
import { blankTab } from "../engines/blank-tab.js";
import type { EngineTab } from "../engines/engine.js";
import { findChromium } from "../setup/chromium.js";

/** A tab that the browser can be told to freeze, as it does by itself with one that was hidden for minutes. */
export interface FreezableTab extends EngineTab {
  freeze(): Promise<void>;
  wake(): Promise<void>;
  /** Puts another tab before it. */
  hide(): Promise<void>;
}

export interface FreezableChromium {
  openTab(origin: string): Promise<FreezableTab>;
  close(): Promise<void>;
}

// puppeteer-core imports all of node:process, which opens standard input, and nobody reads that.
process.stdin.unref?.();

/** The feature that ends the WebSockets of a frozen page when it wakes. https://github.com/whatwg/html/issues/12085 */
const endingSockets = "DisconnectWebSocketOnBFCache";

/**
 * The fate of a tab in the background: its sockets, or, a second after it was hidden and not minutes, its timers.
 */
const habits = {
  kept: `--disable-features=${endingSockets}`,
  ended: `--enable-features=${endingSockets}`,
  throttled: "--enable-features=IntensiveWakeUpThrottling:grace_period_seconds/1",
};
export type BackgroundHabit = keyof typeof habits;

/** By default, tabs in the background are as quick as others, and none is kept when it is left. */
const unusualArgs = [
  "--disable-back-forward-cache",
  "--disable-background-timer-throttling",
  "--disable-backgrounding-occluded-windows",
  "--disable-renderer-backgrounding",
];

/** Chromium with puppeteer-core: playwright-core keeps every tab visible, and a tab that is visible is never frozen. */
export async function launchFreezableChromium(habit: BackgroundHabit): Promise<FreezableChromium> {
  const executablePath = findChromium();
  if (executablePath === undefined) throw new Error("no Chromium: set CHROMIUM to its path");
  const browser = await puppeteer.launch({
    browser: "chrome",
    executablePath,
    args: [
      "--no-sandbox",
      "--disable-gpu",
      "--disable-quic",
      "--no-first-run",
      "--disable-background-networking",
      habits[habit],
    ],
    ignoreDefaultArgs: unusualArgs,
  });
  return { openTab: (origin) => openTab(browser, origin), close: () => browser.close() };
}

async function openTab(browser: Browser, origin: string): Promise<FreezableTab> {
  const page = await browser.newPage();
  const session = await page.createCDPSession();
  const setState = (state: "frozen" | "active") => session.send("Page.setWebLifecycleState", { state });
  const tab = await blankTab(
    {
      evaluateText: (expression) => page.evaluate(expression) as Promise<string>,
      goto: async (url) => void (await page.goto(url)),
      // A page from the back/forward cache is not loaded.
      goBack: async () => void (await page.goBack({ waitUntil: [] })),
      screenshot: () => page.screenshot(),
      close: () => page.close(),
    },
    origin,
  );
  return {
    ...tab,
    freeze: () => setState("frozen"),
    wake: () => setState("active"),
    hide: async () => (await browser.newPage()).bringToFront(),
  };
}
