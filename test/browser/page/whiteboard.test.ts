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
  onTestFinished(() => expect(faults).toEqual([]));
  await page.goto(url);
  await page.getByText("Connected", { exact: true }).waitFor();
  return page;
}

async function draw(page: Page, at: number): Promise<void> {
  await page.mouse.move(at, 200);
  await page.mouse.down();
  await page.mouse.move(at + 60, 260, { steps: 5 });
  await page.mouse.up();
}

/** The lines of the strokes on a board, when there are so many. */
async function strokes(page: Page, count: number): Promise<(string | null)[]> {
  await page.waitForFunction(`document.querySelectorAll("#drawing path").length === ${count}`);
  const paths = await page.locator("#drawing path").all();
  return Promise.all(paths.map((path) => path.getAttribute("d")));
}

const count = (page: Page, selector: string, expected: number) =>
  page.waitForFunction(`document.querySelectorAll("${selector}").length === ${expected}`);

test("examples/whiteboard is drawn on in two tabs, while connections break and its host is loaded again", async () => {
  const port = await serveExample("whiteboard");
  const networks = [await ChaosProxy.open(port), await ChaosProxy.open(port)] as const;
  for (const network of networks) onTestFinished(() => network.close());
  const host = await open(networks[0].origin);
  const link = new URL((await host.locator("#link").getAttribute("href")) ?? "");
  const guest = await open(`${networks[1].origin}/${link.search}`);

  await draw(host, 300);
  const [line] = await strokes(guest, 1);
  await host.waitForFunction(`document.querySelector("#drawing path").getAttribute("d") === ${JSON.stringify(line)}`);
  await guest.mouse.move(400, 400);
  await count(host, "#pointers g", 1);
  await Promise.all([host, guest].map((page) => count(page, "#people li", 2)));

  // The strokes under which the connections are cut, and those while they are away, are kept.
  for (const network of networks) network.begin("away");
  await guest.getByText("Connection lost").waitFor();
  await Promise.all([draw(host, 400), draw(guest, 500)]);
  for (const network of networks) network.heal();
  await Promise.all([host, guest].map((page) => page.getByText("Connected", { exact: true }).waitFor()));
  expect((await strokes(host, 3)).toSorted()).toEqual((await strokes(guest, 3)).toSorted());

  // Each takes back its own.
  await guest.getByRole("button", { name: "Undo" }).click();
  const kept = await strokes(host, 2);
  expect(kept).toContain(line);

  await host.reload();
  expect((await strokes(host, 2)).toSorted()).toEqual(kept.toSorted());
  await draw(guest, 600);
  await strokes(host, 3);

  await guest.getByRole("button", { name: "Eraser" }).click();
  await guest.mouse.click(300, 200);
  await strokes(host, 2);
  await guest.getByRole("button", { name: "Clear" }).click();
  await strokes(host, 0);
  await guest.close();
  await count(host, "#people li", 1);
});
