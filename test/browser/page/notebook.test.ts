import { spawn } from "node:child_process";
import { once } from "node:events";
import type { Browser, Page } from "playwright-core";
import { afterAll, beforeAll, expect, onTestFinished, test } from "vitest";
import { launchBrowser } from "../browser.js";
import { serveExample } from "../built-example.js";

let browser: Browser;

beforeAll(async () => {
  browser = await launchBrowser();
});

afterAll(() => browser?.close());

async function open(url: string, status: string): Promise<Page> {
  const page = await browser.newPage();
  onTestFinished(() => page.close());
  await page.goto(url);
  await page.getByText(status).waitFor();
  return page;
}

/** The text of the cells, when there are so many. */
async function cells(page: Page, count: number): Promise<string[]> {
  await page.waitForFunction(`document.querySelectorAll("#cells li").length === ${count}`);
  return page.locator("#cells li").allInnerTexts();
}

async function run(page: Page, source: string): Promise<void> {
  await page.getByLabel("An expression").fill(source);
  await page.getByRole("button", { name: "Run" }).click();
}

test("examples/notebook is a Hono app in a tab, to which tabs and shells attach", async () => {
  const port = await serveExample("notebook");
  const host = await open(`http://127.0.0.1:${port}/`, "This tab serves");
  await run(host, "1 + 1");
  await cells(host, 1);

  // The command that the page shows.
  const [program = "", ...args] = ((await host.locator("#curl").textContent()) ?? "").split(" ");
  const curl = spawn(program, ["--silent", ...args], { stdio: ["ignore", "pipe", "ignore"] });
  onTestFinished(async () => {
    curl.kill();
    await once(curl, "close");
  });
  let events = "";
  const heard = async (text: string) => {
    while (!events.includes(text)) events += String((await once(curl.stdout, "data"))[0]);
  };
  await heard('{"source":"1 + 1","output":"2"}');

  const guest = await open(
    new URL((await host.locator("#attach").getAttribute("href")) ?? "", host.url()).href,
    "Attached",
  );
  await run(guest, "[origin, typeof document]");
  await heard("null,undefined");
  expect(await cells(guest, 2)).toEqual(await cells(host, 2));

  const url = (args.at(-1) ?? "").replace(/events$/, "cells");
  const answer = await fetch(url, { method: "POST", body: "[1, 2].map((n) => n * 3)" });
  expect([answer.status, await answer.json()]).toEqual([201, { source: "[1, 2].map((n) => n * 3)", output: "3,6" }]);
  await heard('"3,6"');
  await cells(guest, 3);
  expect(((await (await fetch(url)).json()) as unknown[]).length).toBe(3);
  expect((await fetch(url, { method: "POST", body: "1".repeat(10_001) })).status).toBe(413);
});
