import { readdirSync, readFileSync } from "node:fs";
import { fileURLToPath } from "node:url";
import type { Browser, BrowserContext, Page } from "playwright-core";
import { afterAll, afterEach, beforeAll, beforeEach, describe, expect, test } from "vitest";
import { type RelayProcess, startRelay } from "../../relay-process.js";
import { launchBrowser } from "../browser.js";

const folder = fileURLToPath(new URL("../../../examples/pages", import.meta.url));
const pages = readdirSync(folder).filter((name) => name.endsWith(".html"));

let browser: Browser;
let relay: RelayProcess;
let context: BrowserContext;
/** The errors of all tabs of the test at hand. */
let faults: string[];

beforeAll(async () => {
  [browser, relay] = await Promise.all([launchBrowser(), startRelay("--page", folder)]);
});

afterAll(async () => {
  await browser?.close();
  await relay?.stop();
});

beforeEach(async () => {
  faults = [];
  context = await browser.newContext();
  // A browser asks for one by itself.
  await context.route("**/favicon.ico", (route) => route.fulfill({ status: 204 }));
  context.on("weberror", (error) => faults.push(error.error().message));
  context.on("console", (message) => {
    if (["error", "warning"].includes(message.type())) faults.push(message.text());
  });
});

afterEach(async () => {
  await context.close();
  expect(faults).toEqual([]);
});

async function open(name: string): Promise<Page> {
  const page = await context.newPage();
  await page.goto(`${relay.origin}/${name}`);
  return page;
}

/** Opens an example, and follows its link in a second tab. */
async function openBoth(name: string): Promise<{ listener: Page; client: Page }> {
  const listener = await open(name);
  const [client] = await Promise.all([context.waitForEvent("page"), listener.locator("a[href^='?join=']").click()]);
  await client.waitForLoadState();
  return { listener, client };
}

const says = (page: Page, text: string) => page.getByText(text, { exact: true }).waitFor();

async function submit(page: Page, text: string): Promise<void> {
  await page.locator("form input").fill(text);
  await page.locator("form button").first().click();
}

describe("examples/pages", () => {
  test("echo.html sends back what the client sends", async () => {
    const { client } = await openBoth("echo.html");
    await says(client, "connected");
    await submit(client, "one");
    await says(client, "back: one");
  });

  test("room.html lets everybody hear what one says, and that one left", async () => {
    const { listener, client } = await openBoth("room.html");
    const [other] = await Promise.all([context.waitForEvent("page"), listener.locator("a").click()]);
    await Promise.all([listener, client, other].map((page) => says(page, "somebody came, and makes 2")));
    await submit(client, "from a guest");
    await Promise.all([listener, client, other].map((page) => says(page, "from a guest")));
    await submit(listener, "from the host");
    await Promise.all([listener, client, other].map((page) => says(page, "from the host")));
    await other.close();
    await says(client, "somebody left, which leaves 1");
    await listener.close();
    await says(client, "the room is closed");
  });

  test("file-drop.html hands a file over", async () => {
    const { listener, client } = await openBoth("file-drop.html");
    const buffer = Buffer.alloc(3_000_000, "0123456789");
    await client.locator("input").setInputFiles({ name: "digits.txt", mimeType: "text/plain", buffer });
    await says(client, "sent: digits.txt");
    const [download] = await Promise.all([
      listener.waitForEvent("download"),
      listener.getByRole("link", { name: "digits.txt" }).click(),
    ]);
    expect(download.suggestedFilename()).toBe("digits.txt");
    expect(readFileSync(await download.path()).equals(buffer)).toBe(true);
  });

  test("typed-messages.html moves and colours the other tab's dot, and refuses what is no message", async () => {
    const { listener, client } = await openBoth("typed-messages.html");
    const style = (page: Page, text: string) => page.locator(`div[style*="${text}"]`).waitFor();
    await client.mouse.move(40, 50);
    await style(listener, "translate: 40px 50px");
    await listener.locator("input").fill("#ff0000");
    await style(client, "background: rgb(255, 0, 0)");
    await client.evaluate(`(async () => {
      const { StreamClient } = await import("/browser-server/client.js");
      const name = new URLSearchParams(location.search).get("join");
      globalThis.ended = StreamClient(location.origin).connect(name).on("error", () => {});
      ended.write('{"kind":"move","x":"left"}');
    })()`);
    await listener.getByText("the other tab sent what is no message").waitFor();
  });

  test("request-answer.html answers, or says with a code why not", async () => {
    const { client } = await openBoth("request-answer.html");
    await submit(client, "2 + 40");
    await says(client, "42");
    await submit(client, "two");
    await says(client, "InvalidArgument: that is no sum");
  });

  test("lobby.html shows rooms as they come and go, and visits them", async () => {
    const [first, second] = [await open("lobby.html"), await open("lobby.html")];
    await second.getByRole("button", { name: "Visit any room" }).click();
    await says(second, "no room is open");
    await submit(first, "tea");
    await second.getByRole("button", { name: "tea" }).click();
    await says(second, "Welcome to tea");
    const third = await open("lobby.html");
    await third.getByRole("button", { name: "Visit any room" }).click();
    await says(third, "Welcome to tea");
    await first.close();
    await second.getByRole("button", { name: "tea" }).waitFor({ state: "detached" });
  });

  test("index.html and README.md list them all, and each is short", () => {
    const lists = ["index.html", "../README.md"].map((name) => readFileSync(`${folder}/${name}`, "utf8"));
    for (const name of pages.filter((each) => each !== "index.html")) {
      for (const list of lists) expect(list).toContain(name);
      expect(readFileSync(`${folder}/${name}`, "utf8").split("\n").length).toBeLessThan(75);
    }
  });
});
