import type { Browser, BrowserContext, BrowserContextOptions, Page } from "playwright-core";
import { expect } from "vitest";
import { type RelayProcess, startRelay } from "../relay-process.js";
import { launchBrowser } from "./browser.js";

/** A browser without a relay complains of every request that fails, and of nothing else. */
const failedRequest = /^(WebSocket connection to|Failed to load resource)/;

/** A relay with the page, and people who visit it. */
export class PageVisits {
  readonly #contexts: BrowserContext[] = [];
  readonly #complaints: string[] = [];

  private constructor(
    readonly browser: Browser,
    readonly relay: RelayProcess,
  ) {}

  static async open(): Promise<PageVisits> {
    const [browser, relay] = await Promise.all([launchBrowser(), startRelay()]);
    return new PageVisits(browser, relay);
  }

  get origin(): string {
    return this.relay.origin;
  }

  /** Opens a tab of a new person on the page. */
  async visit(address = this.origin, options: BrowserContextOptions = {}): Promise<Page> {
    const context = await this.browser.newContext(options);
    this.#contexts.push(context);
    const page = await context.newPage();
    page.on("pageerror", (error) => this.#complaints.push(error.message));
    page.on("console", (message) => {
      if (["error", "warning"].includes(message.type())) this.#complaints.push(message.text());
    });
    await page.goto(address);
    return page;
  }

  async openRoom(name?: string, options?: BrowserContextOptions): Promise<{ host: Page; link: string }> {
    const host = await this.visit(this.origin, options);
    if (name !== undefined) await host.getByLabel("Name of the room").fill(name);
    await button(host, "Open the room").click();
    await inState(host, "open");
    return { host, link: await host.getByLabel("Whoever opens this link joins").inputValue() };
  }

  async join(link: string, options?: BrowserContextOptions): Promise<Page> {
    const guest = await this.visit(link, options);
    await inState(guest, "joined");
    return guest;
  }

  async openRoomWithGuest(
    name?: string,
    options?: BrowserContextOptions,
  ): Promise<{ host: Page; guest: Page; link: string }> {
    const { host, link } = await this.openRoom(name, options);
    const guest = await this.join(link, options);
    await Promise.all([present(host, 1), present(guest, 1)]);
    return { host, guest, link };
  }

  /** After each test: closes its tabs, in whose consoles nobody may have complained, not even of failed requests. */
  async leave({ requestsMayFail = false } = {}): Promise<void> {
    await Promise.all(this.#contexts.splice(0).map((context) => context.close()));
    const complaints = this.#complaints.splice(0).filter((text) => !requestsMayFail || !failedRequest.test(text));
    expect(complaints).toEqual([]);
  }

  async close(): Promise<void> {
    await this.browser.close();
    await this.relay.stop();
  }
}

export const phone: BrowserContextOptions = { viewport: { width: 375, height: 667 }, hasTouch: true, isMobile: true };

export const button = (page: Page, name: string) => page.getByRole("button", { name });
export const inState = (page: Page, state: string) => page.locator(`main[data-state="${state}"]`).waitFor();
export const present = (page: Page, others: number) => page.locator(`main[data-others="${others}"]`).waitFor();
export const said = (page: Page, text: string) =>
  page.locator('[data-kind="chat"][data-by="other"]', { hasText: text });
export const fileCard = (page: Page, name: string) => page.locator('[data-kind="file"]', { hasText: name });
/** The name by which a tab's person is known in the room. */
export const knownAs = async (page: Page) =>
  (await page.locator(".person .label", { hasText: "(you)" }).textContent())?.replace(" (you)", "");

export async function say(page: Page, text: string): Promise<void> {
  await page.getByRole("textbox", { name: "Message" }).fill(text);
  await page.keyboard.press("Enter");
}

export function send(page: Page, ...files: { name: string; mimeType?: string; buffer: Buffer }[]): Promise<void> {
  const complete = files.map((file) => ({ mimeType: "application/octet-stream", ...file }));
  return page.getByLabel("Send files").setInputFiles(complete);
}
