import { createHash, randomBytes } from "node:crypto";
import { readFile, writeFile } from "node:fs/promises";
import type { Page } from "playwright-core";
import { afterAll, afterEach, beforeAll, expect, test } from "vitest";
import { button, fileCard, PageVisits, present, said, say, send } from "../page-visits.js";

const mebibyte = 1_048_576;

let visits: PageVisits;

beforeAll(async () => {
  visits = await PageVisits.open();
});

afterEach(() => visits.leave());
afterAll(() => visits?.close());

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
  const { host, guest, link } = await visits.openRoomWithGuest();
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
  const { host, guest, link } = await visits.openRoomWithGuest();
  const other = await visits.join(link);
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
  const { host, guest } = await visits.openRoomWithGuest();
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

  // The keyboard stays where it was, on the control that took the place of the last one.
  await button(host, "Receive large.bin").and(host.locator(":focus")).press("Enter");
  await receiving.locator('.transfer[data-state="running"]').waitFor();
  await button(host, "Cancel large.bin").and(host.locator(":focus")).waitFor();
  await button(guest, "Cancel large.bin").click();
  await receiving.locator('.transfer[data-state="cancelled"]').waitFor();
  await sending.locator('.transfer[data-state="cancelled"]').nth(1).waitFor();
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
  const { host, guest } = await visits.openRoomWithGuest();
  await dropPicture(guest, "ridge.png");
  await Promise.all([host, guest].map((page) => page.getByRole("img", { name: "ridge.png" }).waitFor()));
});

/** Reads of a file stand still from this offset on, as if the disk did, so that a transfer stays under way. */
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
  const options = (name: string) => ({
    viewport: { width: 1100, height: 720 },
    locale: "en-GB",
    deviceScaleFactor: 1.3,
    storageState: { cookies: [], origins: [{ origin: visits.origin, localStorage: [{ name: "name", value: name }] }] },
  });
  const { host, link } = await visits.openRoom("quiet-harbor-k7m2x-9pwtd", options("Mira"));
  const guest = await visits.join(link, options("Tomas"));
  // A message to nobody is kept and not sent.
  await Promise.all([present(host, 1), present(guest, 1)]);
  await say(host, "The pictures from Saturday are ready. Shall I send them here?");
  await said(guest, "Shall I send").waitFor();
  await say(guest, "Yes please! Here is the one from the ridge.");
  await dropPicture(guest, "ridge.png");
  await host.getByRole("img", { name: "ridge.png" }).waitFor();
  await standStillFrom(host, 9 * mebibyte);
  await send(host, { name: "Saturday.zip", buffer: randomBytes(16 * mebibyte) });
  await fileCard(host, "Saturday.zip")
    .locator(".transfer", { hasText: /· [4-6]\d%/ })
    .waitFor();
  const picture = await host.screenshot();
  if (process.env.UPDATE_SCREENSHOT === "1") await writeFile("docs/page.png", picture);
  await button(host, "Cancel Saturday.zip").click();
  await fileCard(host, "Saturday.zip").locator('.transfer[data-state="cancelled"]').waitFor();
});
