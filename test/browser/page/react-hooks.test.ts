import type { Browser, Page } from "playwright-core";
import { afterAll, beforeAll, expect, onTestFinished, test } from "vitest";
import { ChaosProxy } from "../../chaos/network/chaos-proxy.js";
import { launchBrowser } from "../browser.js";
import { serveExample } from "../built-example.js";

let browser: Browser;

beforeAll(async () => {
  browser = await launchBrowser();
});

afterAll(() => browser?.close());

async function open(url: string): Promise<Page> {
  const context = await browser.newContext();
  onTestFinished(() => context.close());
  const page = await context.newPage();
  const faults: string[] = [];
  page.on("pageerror", (error) => faults.push(error.message));
  page.on("console", (message) => {
    // A connection that is cut is an error to a browser.
    if (message.type() === "error" && !/net::|WebSocket connection/.test(message.text())) faults.push(message.text());
  });
  onTestFinished(() => expect(faults).toEqual([]));
  await page.goto(url);
  return page;
}

const says = (page: Page, text: string) => page.getByText(text, { exact: true }).waitFor();
const vote = (page: Page, option: string) => page.getByRole("button", { name: option }).click();

/** Resolves when the page shows these numbers of votes for tea, coffee and water. */
async function votes(page: Page, ...counts: number[]): Promise<void> {
  await page.waitForFunction(
    `[...document.querySelectorAll("output")].map(({ value }) => value).join() === ${JSON.stringify(counts.join())}`,
  );
}

test("the hooks of examples/react-hooks work under StrictMode, and outlive cuts, guests and the host", async () => {
  const port = await serveExample("react-hooks");
  const network = await ChaosProxy.open(port);
  onTestFinished(() => network.close());
  const host = await open(`http://127.0.0.1:${port}/`);
  await says(host, "Open for votes");
  await says(host, "0 guests");
  const { search } = new URL((await host.getByRole("link").getAttribute("href")) ?? "");
  const first = await open(`http://127.0.0.1:${port}/${search}`);
  await says(first, "Connected");
  // The stream of the effect that ran first is gone.
  await says(host, "1 guest");
  const second = await open(`${network.origin}/${search}`);
  await Promise.all([host, first, second].map((page) => says(page, "2 guests")));

  await vote(first, "Tea");
  await vote(second, "Water");
  await Promise.all([host, first, second].map((page) => votes(page, 1, 0, 1)));
  await vote(first, "Coffee");
  await Promise.all([host, first, second].map((page) => votes(page, 0, 1, 1)));

  network.begin("away");
  await says(second, "The connection is lost, and comes back by itself");
  await vote(second, "Tea");
  await votes(host, 0, 1, 1);
  network.heal();
  await Promise.all([host, first, second].map((page) => votes(page, 1, 1, 0)));

  await first.close();
  await votes(host, 1, 0, 0);
  await says(second, "1 guest");

  await host.reload();
  await second.getByRole("button", { name: "Try again" }).click();
  await says(second, "Connected");
  await vote(second, "Water");
  await votes(host, 0, 0, 1);
});
