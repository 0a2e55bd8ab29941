import type { BrowserContextOptions, Locator, Page } from "playwright-core";
import { encode } from "uqr";
import { afterAll, afterEach, beforeAll, describe, expect, test } from "vitest";
import { button, fileCard, PageVisits, phone, present, said, say, send } from "../page-visits.js";

let visits: PageVisits;

beforeAll(async () => {
  visits = await PageVisits.open();
});

afterEach(() => visits.leave());
afterAll(() => visits?.close());

const longName = "Wolfeschlegelsteinhausenbergerdorff".padEnd(40, "W");

/** A room with something of everything in it: a long name, a long word, a link, and a file that has arrived. */
async function openFurnishedRoom(options: BrowserContextOptions): Promise<{ host: Page; guest: Page }> {
  const { host, guest } = await visits.openRoomWithGuest(undefined, options);
  await button(guest, "Change your name").click();
  await guest.keyboard.type(longName);
  await guest.keyboard.press("Enter");
  await button(host, `Remove ${longName}`).waitFor();
  await say(host, `See https://example.org/${"x".repeat(120)} for more`);
  await said(guest, "for more").waitFor();
  await say(guest, "w".repeat(200));
  await said(host, "www").waitFor();
  await send(host, { name: `${"long-name-".repeat(12)}.txt`, buffer: Buffer.alloc(1000) });
  await Promise.all([
    fileCard(guest, "long-name").getByText("Save").waitFor(),
    fileCard(host, "long-name").getByText("delivered").waitFor(),
  ]);
  return { host, guest };
}

/**
 * In the page: each visible text with less than 4.5:1 to what is behind it, and each control with less than 3:1 around.
 */
const lowContrasts = `(() => {
  const canvas = document.createElement("canvas").getContext("2d", { willReadFrequently: true });
  const rgba = (color) => {
    canvas.clearRect(0, 0, 1, 1);
    canvas.fillStyle = color;
    canvas.fillRect(0, 0, 1, 1);
    return [...canvas.getImageData(0, 0, 1, 1).data];
  };
  const over = ([r, g, b, a], behind) => [r, g, b].map((each, at) => (each * a + behind[at] * (255 - a)) / 255);
  const background = (element) => {
    if (element === null) return [255, 255, 255];
    return over(rgba(getComputedStyle(element).backgroundColor), background(element.parentElement));
  };
  const luminance = (color) => {
    const [r, g, b] = color.map((each) => (each / 255 <= 0.04045 ? each / 3294.6 : ((each / 255 + 0.055) / 1.055) ** 2.4));
    return 0.2126 * r + 0.7152 * g + 0.0722 * b;
  };
  const contrast = (one, other) => {
    const [light, dark] = [luminance(one), luminance(other)].sort((a, b) => b - a);
    return (light + 0.05) / (dark + 0.05);
  };
  const found = [];
  const check = (what, element, color, behind, least) => {
    const ratio = contrast(over(rgba(color), behind), behind);
    if (ratio < least) found.push(what + " " + element.outerHTML.slice(0, 80) + " " + ratio.toFixed(2));
  };
  for (const element of document.querySelectorAll("main *")) {
    if (!element.checkVisibility() || element.matches(":disabled, :has(:disabled)")) continue;
    const style = getComputedStyle(element);
    const hasText = [...element.childNodes].some((node) => node.nodeType === 3 && node.data.trim() !== "");
    if (hasText || element.matches("input, textarea")) check("text", element, style.color, background(element), 4.5);
    if (element.placeholder) {
      check("placeholder", element, getComputedStyle(element, "::placeholder").color, background(element), 4.5);
    }
    const frame = element.matches("input, textarea") ? element.closest(".field, .composer") : element;
    const isFramed = element.matches("input:not(.unseen), textarea, .quiet, progress");
    if (isFramed) check("border", frame, getComputedStyle(frame).borderTopColor, background(frame.parentElement), 3);
    if (element.matches(".primary, .filled, .dot")) {
      check("surface", element, style.backgroundColor, background(element.parentElement), 3);
    }
    if (element.matches("svg.icon")) check("icon", element, style.stroke, background(element), 3);
  }
  return found;
})()`;

describe.each(["light", "dark"] as const)("in %s colours", (colorScheme) => {
  test("texts, placeholders, icons and the borders of controls can be told from what is behind them", async () => {
    const start = await visits.visit(visits.origin, { colorScheme, reducedMotion: "reduce" });
    expect(await start.evaluate(lowContrasts)).toEqual([]);
    const { host, guest } = await openFurnishedRoom({ colorScheme, reducedMotion: "reduce" });
    await button(host, "Lock the room").click();
    await host.getByText("Who can read along?").click();
    for (const page of [host, guest]) expect(await page.evaluate(lowContrasts)).toEqual([]);
    await host.close();
    await guest.getByRole("heading", { name: "The host is gone" }).waitFor();
    expect(await guest.evaluate(lowContrasts)).toEqual([]);
  });
});

/** The look of an element: the colours at points of it, given as fractions of its width and height. */
async function colorsOf(element: Locator, points: readonly (readonly [x: number, y: number])[]): Promise<string[]> {
  const picture = (await element.screenshot({ scale: "css" })).toString("base64");
  const page = await visits.browser.newPage();
  const script = `(async () => {
    const image = await createImageBitmap(await (await fetch("data:image/png;base64,${picture}")).blob());
    const context = new OffscreenCanvas(image.width, image.height).getContext("2d");
    context.drawImage(image, 0, 0);
    return ${JSON.stringify(points)}.map(([x, y]) => {
      const at = [Math.min(Math.floor(x * image.width), image.width - 1), Math.min(Math.floor(y * image.height), image.height - 1)];
      return context.getImageData(...at, 1, 1).data.join();
    });
  })()`;
  const colors = (await page.evaluate(script)) as string[];
  await page.close();
  return colors;
}

describe("in colours that the system forces", () => {
  const options = { forcedColors: "active", reducedMotion: "reduce" } as const;

  test("progress, avatars, states and what is pressed can be seen", async () => {
    const { host } = await openFurnishedRoom(options);
    await host.evaluate(() => {
      Blob.prototype.arrayBuffer = () => new Promise(() => {});
    });
    await send(host, { name: "stands-still.bin", buffer: Buffer.alloc(1000) });
    const bar = fileCard(host, "stands-still.bin").getByRole("progressbar");
    await bar.evaluate((element: HTMLProgressElement) => {
      element.value = 0.5;
    });
    const middle = 0.5;
    const [done, left] = await colorsOf(bar, [
      [0.25, middle],
      [0.75, middle],
    ]);
    expect(done).not.toBe(left);
    const [edge, inside] = await colorsOf(host.locator(".person .avatar").first(), [
      [middle, 0.01],
      [middle, 0.1],
    ]);
    expect(edge).not.toBe(inside);
    const lock = button(host, "Lock the room");
    const corner = [[0.05, middle]] as const;
    const before = await colorsOf(lock, corner);
    await lock.click();
    expect(await colorsOf(lock, corner)).not.toEqual(before);
    const [dot, around] = await colorsOf(host.locator(".status"), [
      [4.5 / ((await host.locator(".status").boundingBox())?.width ?? 0), middle],
      [0.99, middle],
    ]);
    expect(dot).not.toBe(around);
  });
});

describe.each([
  { theme: "light", options: { reducedMotion: "reduce" } },
  { theme: "dark", options: { colorScheme: "dark", reducedMotion: "reduce" } },
  { theme: "forced", options: { forcedColors: "active", colorScheme: "dark", reducedMotion: "reduce" } },
] as const)("in $theme colours", ({ options }) => {
  test("the QR code is that of the link, dark on light, with a margin", async () => {
    const { host, link } = await visits.openRoom(undefined, options);
    const { data, size } = encode(link, { border: 4 });
    const points = data.flatMap((row, y) => row.map((_, x) => [(x + 0.5) / size, (y + 0.5) / size] as const));
    const [black, white] = ["0,0,0,255", "255,255,255,255"];
    const shown = await colorsOf(host.getByRole("img", { name: "QR code of the link" }), points);
    // A rounded corner shows what is behind it.
    const inner = (_: unknown, at: number) =>
      at % size > 0 && at % size < size - 1 && at >= size && at < size * (size - 1);
    expect(shown.filter(inner)).toEqual(
      data
        .flat()
        .map((dark) => (dark ? black : white))
        .filter(inner),
    );
    await host.getByRole("button", { name: "QR code" }).click();
    expect(await host.getByRole("img", { name: "QR code of the link" }).count()).toBe(0);
  });
});

describe.each([
  [375, 667],
  [320, 568],
])("on a phone of %i × %i", (width, height) => {
  const options = { ...phone, viewport: { width, height } };

  test("the header leaves room, fingers hit what they aim at, nothing sticks out, and nobody is told to drop files", async () => {
    const start = await visits.visit(visits.origin, options);
    const { host: alone } = await visits.openRoom(undefined, options);
    const { host, guest } = await openFurnishedRoom(options);
    const pages = { start, alone, host, guest };
    for (const [who, page] of Object.entries(pages)) {
      const tooSmall = await page
        .locator(
          "button:visible, summary:visible, label.icon-button:visible, input:not(.unseen):visible, .button:visible",
        )
        .evaluateAll((elements) =>
          elements
            .filter((element) => !element.closest(".field") || element.tagName !== "INPUT")
            .filter((element) => {
              const box = element.getBoundingClientRect();
              return Math.min(box.width, box.height) < 44;
            })
            .map((element) => element.outerHTML),
        );
      expect({ who, tooSmall }).toEqual({ who, tooSmall: [] });
      const overflow = await page.evaluate(() => document.documentElement.scrollWidth - innerWidth);
      expect({ who, overflow }).toEqual({ who, overflow: 0 });
      const texts = await page.evaluate(
        `document.querySelector("main").innerText + [...document.querySelectorAll("[placeholder]")].map((e) => e.placeholder)`,
      );
      expect(texts).not.toMatch(/\bdrop\b/i);
    }
    // Focus in a field brings up a keyboard that covers half of the page.
    expect(await start.locator(":focus").count()).toBe(0);
    for (const page of [host, guest]) {
      const header = await page.getByRole("complementary").boundingBox();
      expect(header?.height).toBeLessThan(130);
    }
    await button(host, "Invite").tap();
    await host.getByLabel("Whoever opens this link joins").waitFor();
    await button(host, "Invite").tap();
    await host.getByLabel("Whoever opens this link joins").waitFor({ state: "hidden" });
  });
});

test("the page can be used without seeing it", async () => {
  const start = await visits.visit();
  // The keyboard goes through the start in the order in which it is read.
  const order: string[] = [];
  await start.getByLabel("Your name").focus();
  for (let at = 0; at < 6; at += 1) {
    order.push(await start.evaluate(`(({ activeElement: e }) => e.id || e.textContent)(document)`));
    await start.keyboard.press("Tab");
  }
  expect(order).toEqual(["own-name", "name", "another", "Open the room", "place", "Join"]);

  const { host } = await openFurnishedRoom({});
  const log = host.getByRole("log", { name: "Conversation" });
  expect(await log.getByRole("list").getByRole("listitem").count()).toBe(4);
  const people = host.getByRole("list", { name: "Here now" });
  expect(await people.getByRole("listitem").count()).toBe(2);
  const nameless = await host
    .locator("main")
    .ariaSnapshot()
    .then((snapshot) =>
      snapshot.split("\n").filter((line) => /- (button|link|textbox|progressbar|img)(:|$)/.test(line)),
    );
  expect(nameless).toEqual([]);
  expect(await host.getByText("whoever runs the relay").isVisible()).toBe(false);
  await host.getByText("Who can read along?").press("Enter");
  await host.getByText("whoever runs the relay").waitFor();
  await present(host, 1);
});
