import { StreamClient, StreamServer } from "browser-stream-server";
import { mintToken, tokenPolicy } from "browser-stream-server/server";
import type { Browser, Page } from "playwright-core";
import { afterAll, beforeAll, describe, expect, test } from "vitest";
import { accessSecret as secret } from "../../fakes/access-keys.js";
import { rejection } from "../../fakes/outcome.js";
import { openRelay, type TestRelay } from "../../integration/relay-ports.js";
import { launchBrowser } from "../browser.js";

let relay: TestRelay;
let browser: Browser;
let page: Page;
let token: string;
const complaints: string[] = [];

beforeAll(async () => {
  const policy = tokenPolicy({ secret, anonymous: { "**": ["listen", "connect"] } });
  relay = await openRelay({ authorize: policy, admin: policy });
  token = await mintToken({ secret, streams: {}, admin: true });
  browser = await launchBrowser();
  page = await browser.newPage();
  page.on("console", (message) => complaints.push(message.text()));
  page.on("pageerror", (error) => complaints.push(error.message));
});

afterAll(async () => {
  await browser?.close();
  await relay?.close();
});

async function show(as: string): Promise<void> {
  await page.goto(`${relay.url}/admin`);
  await page.getByLabel("access token").fill(as);
  await page.getByRole("button", { name: "Show" }).click();
}

/** Presses a button, and gives the reason that the page asks for. */
async function press(name: string, reason: string): Promise<void> {
  page.once("dialog", (dialog) => void dialog.accept(reason));
  await page.getByRole("button", { name }).click();
}

describe("the operator's page", () => {
  test("shows who waits for whom, ends a stream and takes a name back, and takes names for text", async () => {
    const name = "<img src=x onerror=alert(1)>\u202e\u3164";
    const server = StreamServer(relay.origin, (stream) => void stream.on("error", () => {}).pause()).listen(name);
    await server.ready;
    const stream = StreamClient(relay.origin).connect(name);
    stream.on("error", () => {});
    for (let message = 0; message < 8; message += 1) stream.write(new Uint8Array(500_000));
    await show(token);
    const waits = page.getByRole("row", {
      name: /^listener to read 0:\d\d <img src=x onerror=alert\(1\)>\\u\{202e\}\\u\{3164\} /,
    });
    await waits.waitFor();
    await page.getByRole("row", { name: /^<img .* 0 127\.0\.0\.1 .* Take back$/ }).waitFor();
    await press("End", "it hung");
    expect((await rejection(stream.closed)).message).toContain("it hung");
    await page.getByRole("heading", { name: "Streams (0)" }).waitFor();
    await press("Take back", "not yours");
    expect((await rejection(server.closed)).message).toContain("not yours");
    await page.getByRole("heading", { name: "Names (0)" }).waitFor();
    expect(complaints).toEqual([]);
  });

  test("says why it shows nothing, and shows what was refused to whom", async () => {
    await show(await mintToken({ secret, streams: { "**": ["list"] } }));
    await page.getByRole("status").getByText("not one of an operator").waitFor();
    expect(await page.getByRole("heading", { name: /Streams/ }).count()).toBe(0);
    await page.getByLabel("access token").fill(token);
    await page.keyboard.press("Enter");
    await page.getByRole("row", { name: /^admin NOT_PERMITTED \d+ 0:\d\d ago 127\.0\.0\.1/ }).waitFor();
  });
});
