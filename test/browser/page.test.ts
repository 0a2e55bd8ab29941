import { createHash, randomBytes } from "node:crypto";
import { readFile, writeFile } from "node:fs/promises";
import type { Browser, BrowserContext, BrowserContextOptions, Page } from "playwright-core";
import { afterAll, afterEach, beforeAll, expect, test } from "vitest";
import { type RelayProcess, startRelay } from "../relay-process.js";
import { launchBrowser } from "./browser.js";

const mebibyte = 1_048_576;

let browser: Browser;
let relay: RelayProcess;
let contexts: BrowserContext[] = [];
const uncaught: string[] = [];

beforeAll(async () => {
  [browser, relay] = await Promise.all([launchBrowser(), startRelay()]);
});

afterAll(async () => {
  await browser?.close();
  await relay?.stop();
});

afterEach(async () => {
  await Promise.all(contexts.map((context) => context.close()));
  contexts = [];
  expect(uncaught.splice(0)).toEqual([]);
});

/** A tab of a person of its own, on the page. */
async function visit(address: string, options: BrowserContextOptions = {}): Promise<Page> {
  const context = await browser.newContext(options);
  contexts.push(context);
  const page = await context.newPage();
  page.on("pageerror", (error) => uncaught.push(error.message));
  page.on("console", (message) => {
    if (/Content.Security.Policy/i.test(message.text())) uncaught.push(message.text());
  });
  await page.goto(address);
  return page;
}

const button = (page: Page, name: string) => page.getByRole("button", { name });
const inState = (page: Page, state: string) => page.locator(`main[data-state="${state}"]`).waitFor();
const present = (page: Page, others: number) => page.locator(`main[data-others="${others}"]`).waitFor();
const said = (page: Page, text: string) => page.locator('[data-kind="chat"][data-by="other"]', { hasText: text });
const fileCard = (page: Page, name: string) => page.locator('[data-kind="file"]', { hasText: name });

async function openRoom(name?: string, options?: BrowserContextOptions): Promise<{ host: Page; link: string }> {
  const host = await visit(relay.origin, options);
  if (name !== undefined) await host.getByLabel("Name of the room").fill(name);
  await button(host, "Open the room").click();
  await inState(host, "open");
  return { host, link: await host.getByLabel("Whoever opens this link joins").inputValue() };
}

async function join(link: string, options?: BrowserContextOptions): Promise<Page> {
  const guest = await visit(link, options);
  await inState(guest, "joined");
  return guest;
}

async function openRoomWithGuest(): Promise<{ host: Page; guest: Page; link: string }> {
  const { host, link } = await openRoom();
  const guest = await join(link);
  await Promise.all([present(host, 1), present(guest, 1)]);
  return { host, guest, link };
}

async function say(page: Page, text: string): Promise<void> {
  await page.getByRole("textbox", { name: "Message" }).fill(text);
  await page.keyboard.press("Enter");
}

function send(page: Page, ...files: { name: string; mimeType?: string; buffer: Buffer }[]): Promise<void> {
  const complete = files.map((file) => ({ mimeType: "application/octet-stream", ...file }));
  return page.getByLabel("Send files").setInputFiles(complete);
}

const sha256 = (data: Buffer) => createHash("sha256").update(data).digest("hex");

/** Saves a received file as a person would. Resolves with its name and its SHA-256. */
async function save(page: Page, name: string): Promise<{ name: string; hash: string }> {
  const [download] = await Promise.all([
    page.waitForEvent("download"),
    fileCard(page, name).getByRole("link", { name: "Save" }).click(),
  ]);
  return { name: download.suggestedFilename(), hash: sha256(await readFile(await download.path())) };
}

test("two tabs chat in a room and send each other files", async () => {
  const { host, guest, link } = await openRoomWithGuest();
  expect(new URL(link).hash).toMatch(/^#room=[a-z]+-[a-z]+-[a-z2-9]{5}-[a-z2-9]{5}$/);
  await say(host, "Hello, <b>guest</b>");
  await said(guest, "Hello, <b>guest</b>").waitFor();
  await say(guest, "Hello, host");
  await said(host, "Hello, host").waitFor();

  const files = [host, guest].map((page, at) => ({ page, name: `${at}.bin`, buffer: randomBytes(mebibyte) }));
  await Promise.all(files.map(({ page, name, buffer }) => send(page, { name, buffer })));
  for (const { page, name, buffer } of files) {
    const receiver = page === host ? guest : host;
    expect(await save(receiver, name)).toEqual({ name, hash: sha256(buffer) });
    await fileCard(page, name).locator('.transfer[data-state="done"]').waitFor();
  }
});

test("files go to everyone in the room, a guest's through the host, several at once", async () => {
  const { host, guest, link } = await openRoomWithGuest();
  const other = await join(link);
  await Promise.all([host, guest, other].map((page) => present(page, 2)));
  await say(guest, "Here they come");
  await Promise.all([said(host, "Here they come").waitFor(), said(other, "Here they come").waitFor()]);

  const files = ["one.bin", "two.bin", "empty.bin"].map((name, at) => ({
    name,
    buffer: randomBytes((2 - at) * 300_000),
  }));
  await send(guest, ...files);
  for (const { name, buffer } of files) {
    for (const receiver of [host, other]) expect((await save(receiver, name)).hash).toBe(sha256(buffer));
    const delivered = fileCard(guest, name).locator('.transfer[data-state="done"]');
    await expect.poll(() => delivered.count()).toBe(2);
  }
});

test("a large file waits to be asked for, and either side can cancel it", async () => {
  const { host, guest } = await openRoomWithGuest();
  await guest.evaluate((sizeBytes) => {
    const dataTransfer = new DataTransfer();
    dataTransfer.items.add(new File([new Uint8Array(sizeBytes)], "large.bin"));
    document.querySelector("#room")?.dispatchEvent(new DragEvent("drop", { dataTransfer, bubbles: true }));
  }, 256 * mebibyte);
  const receiving = fileCard(host, "large.bin");
  const sending = fileCard(guest, "large.bin");
  await receiving.locator('[data-state="offered"]').waitFor();

  await button(host, "Receive large.bin").click();
  await receiving.locator(".transfer", { hasText: / of 268 MB · \d+%/ }).waitFor();
  await button(host, "Cancel large.bin").click();
  await receiving.locator('.transfer[data-state="cancelled"]').waitFor();
  await sending.locator('.transfer[data-state="cancelled"]').waitFor();

  await button(host, "Receive large.bin").click();
  await receiving.locator('.transfer[data-state="running"]').waitFor();
  await button(guest, "Cancel large.bin").click();
  await receiving.locator('.transfer[data-state="cancelled"]').waitFor();
  await sending.locator('.transfer[data-state="cancelled"]').nth(1).waitFor();
});

test("a locked room lets nobody in, and a guest can be removed", async () => {
  const { host, guest, link } = await openRoomWithGuest();
  await button(host, "Lock the room").click();
  const late = await visit(link);
  await inState(late, "refused");
  await button(host, "Lock the room").click();
  await button(late, "Try again").click();
  await inState(late, "joined");
  await present(host, 2);
  const label = await guest.locator(".person .label", { hasText: "(you)" }).textContent();
  await button(host, `Remove ${label?.replace(" (you)", "")}`).click();
  await inState(guest, "refused");
  await present(late, 1);
});

test("a room that nobody has open is not there, until somebody opens it", async () => {
  const name = "a room to come";
  const guest = await visit(`${relay.origin}/#room=${encodeURIComponent(name)}`);
  await inState(guest, "no-such-room");
  await openRoom(name);
  await button(guest, "Try again").click();
  await inState(guest, "joined");
});

test("a name that is taken can be joined instead, or another one opened", async () => {
  await openRoom("taken");
  const other = await visit(relay.origin);
  await other.getByLabel("Name of the room").fill("taken");
  await button(other, "Open the room").click();
  await inState(other, "name-taken");
  await button(other, "Join that room").click();
  await inState(other, "joined");
  await button(other, "Leave").click();
  await inState(other, "start");
  await button(other, "Open the room").click();
  await inState(other, "open");
});

test("when the host's tab is closed, the guest sees that it is gone", async () => {
  const { host, guest } = await openRoomWithGuest();
  await host.close();
  await inState(guest, "gone");
  await guest.getByRole("heading", { name: "The host is gone" }).waitFor();
});

test("when a guest's tab is closed, the host sees that it left", async () => {
  const { host, guest } = await openRoomWithGuest();
  await guest.close();
  await present(host, 0);
});

test("the host's tab opens its room again when it is loaded again", async () => {
  const { host, guest } = await openRoomWithGuest();
  await host.reload();
  await inState(host, "open");
  await inState(guest, "gone");
  await button(guest, "Try again").click();
  await inState(guest, "joined");
});

test("a relay that cannot be reached is said to be so", async () => {
  const page = await visit(`${relay.origin}/?relay=http://127.0.0.1:9/#room=anything`);
  await inState(page, "unreachable");
});

/** Draws a picture in the page and drops it there. */
async function dropPicture(page: Page, name: string): Promise<void> {
  await page.evaluate(async (fileName) => {
    const canvas = Object.assign(document.createElement("canvas"), { width: 800, height: 360 });
    const context = canvas.getContext("2d")!;
    const sky = context.createLinearGradient(0, 0, 0, canvas.height);
    for (const [at, color] of ["#fcd5a5", "#f7a08a", "#7c6a9c"].entries()) sky.addColorStop(at / 2, color);
    context.fillStyle = sky;
    context.fillRect(0, 0, canvas.width, canvas.height);
    for (const [at, color] of ["#8a7aa8", "#5d5f8d", "#34456b", "#1d2d4a"].entries()) {
      const ridge = (x: number) => 210 + at * 42 - (58 - at * 12) * Math.sin(x / (70 + at * 25) + at * 2);
      context.fillStyle = color;
      context.beginPath();
      context.moveTo(0, canvas.height);
      for (let x = 0; x <= canvas.width; x += 4) context.lineTo(x, ridge(x) - 12 * Math.sin(x / 31 + at));
      context.lineTo(canvas.width, canvas.height);
      context.fill();
    }
    const blob = await new Promise<Blob | null>((resolve) => canvas.toBlob(resolve, "image/png"));
    const dataTransfer = new DataTransfer();
    dataTransfer.items.add(new File([blob!], fileName, { type: "image/png" }));
    document.querySelector("#room")?.dispatchEvent(new DragEvent("drop", { dataTransfer, bubbles: true }));
  }, name);
}

test("pictures are shown to both sides", async () => {
  const { host, guest } = await openRoomWithGuest();
  await dropPicture(guest, "ridge.png");
  await Promise.all([host, guest].map((page) => page.getByRole("img", { name: "ridge.png" }).waitFor()));
});

/** As if the disk stood still from there on, so that a transfer stays under way. */
async function standStillFrom(page: Page, offsetBytes: number): Promise<void> {
  await page.evaluate((offsetBytes) => {
    const { slice } = Blob.prototype;
    Blob.prototype.slice = function (from = 0, ...rest) {
      const part = slice.call(this, from, ...rest);
      if (from >= offsetBytes) part.arrayBuffer = () => new Promise(() => {});
      return part;
    };
  }, offsetBytes);
}

test("a transfer under way can be seen and cancelled; UPDATE_SCREENSHOT=1 renews the README's picture of it", async () => {
  const options = { viewport: { width: 1200, height: 750 }, locale: "en-GB", deviceScaleFactor: 2 };
  const { host, link } = await openRoom("quiet-harbor-k7m2x-9pwtd", options);
  const guest = await join(link, options);
  await say(host, "The pictures from Saturday are ready. Shall I send them here?");
  await said(guest, "Shall I send").waitFor();
  await say(guest, "Yes please! Here is the one from the ridge.");
  await dropPicture(guest, "ridge.png");
  await host.getByRole("img", { name: "ridge.png" }).waitFor();
  await standStillFrom(host, 22 * mebibyte);
  await send(host, { name: "Saturday.zip", buffer: randomBytes(40 * mebibyte) });
  await fileCard(host, "Saturday.zip")
    .locator(".transfer", { hasText: /· [4-6]\d%/ })
    .waitFor();
  const picture = await host.screenshot();
  if (process.env.UPDATE_SCREENSHOT === "1") await writeFile("docs/page.png", picture);
  await button(host, "Cancel Saturday.zip").click();
  await fileCard(host, "Saturday.zip").locator('.transfer[data-state="cancelled"]').waitFor();
});
