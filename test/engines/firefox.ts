import puppeteer, { type Browser } from "puppeteer-core";
import { findFirefox } from "../setup/firefox.js";
import { blankTab, type Page } from "./blank-tab.js";
import type { Engine } from "./engine.js";
import { within } from "./within.js";

const launchTimeoutMs = 60_000;
const closeTimeoutMs = 15_000;

// puppeteer-core imports all of node:process, which opens standard input, and nobody reads that.
process.stdin.unref?.();

/** Has a container and a window of its own: a tab behind another is hidden, and its timers slow. */
async function openPage(browser: Browser): Promise<Page> {
  const context = await browser.createBrowserContext();
  const page = await context.newPage({ type: "window" });
  return {
    evaluateText: (expression) => page.evaluate(expression) as Promise<string>,
    goto: async (url) => void (await page.goto(url)),
    goBack: async () => void (await page.goBack()),
    screenshot: () => page.screenshot(),
    async close() {
      await page.close();
      await context.close();
    },
  };
}

export const firefox: Engine = {
  name: "Firefox",
  async launch() {
    const executablePath = findFirefox();
    if (executablePath === undefined) throw new Error("no Firefox: apt-get install firefox-esr");
    const browser = await puppeteer.launch({
      browser: "firefox",
      executablePath,
      headless: true,
      acceptInsecureCerts: true,
      defaultViewport: { width: 1280, height: 720 },
      timeout: launchTimeoutMs,
    });
    return {
      version: (await browser.version()).replace("firefox/", ""),
      openTab: async (origin) => blankTab(await openPage(browser), origin),
      async close() {
        try {
          await within(closeTimeoutMs, "close", browser.close());
        } finally {
          browser.process()?.kill("SIGKILL");
        }
      },
    };
  },
};
