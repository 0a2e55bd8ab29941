import type { Browser } from "playwright-core";
import { launchBrowser } from "../browser/browser.js";
import { blankPath, blankTab, type Page } from "./blank-tab.js";
import type { Engine } from "./engine.js";

/** Has a browser context of its own. */
async function openPage(browser: Browser): Promise<Page> {
  const context = await browser.newContext({ ignoreHTTPSErrors: true });
  const page = await context.newPage();
  // Chromium has a page of its own for a 404 without a body, which belongs to no origin.
  await page.route(`**${blankPath}`, (route) => route.fulfill({ contentType: "text/html", body: "<!doctype html>" }));
  return {
    evaluateText: (expression) => page.evaluate(expression),
    async goto(url) {
      await page.goto(url);
      // A page with a route has each of its requests stopped and looked at, bodies and all.
      await page.unrouteAll();
    },
    goBack: async () => void (await page.goBack()),
    screenshot: () => page.screenshot(),
    async close() {
      // The page is closed before its context, because only then is it told that it is left.
      await page.close();
      await context.close();
    },
  };
}

export const chromium: Engine = {
  name: "Chromium",
  async launch() {
    const browser = await launchBrowser();
    return {
      version: browser.version(),
      openTab: async (origin) => blankTab(await openPage(browser), origin),
      close: () => browser.close(),
    };
  },
};
