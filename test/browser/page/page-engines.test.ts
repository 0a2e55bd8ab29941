import { mkdir, writeFile } from "node:fs/promises";
import { fileURLToPath } from "node:url";
import { afterAll, beforeAll, expect, test } from "vitest";
import { startLimitedRelay } from "../../cli/file-relay.js";
import type { EngineTab } from "../../engines/engine.js";
import { engines } from "../../engines/engines.js";
import { launchedEngines } from "../../engines/launched-engines.js";
import type { RelayProcess } from "../../relay-process.js";

const fileBytes = 1_048_576;
const screenshots = fileURLToPath(new URL("../../.out/screenshots", import.meta.url));

const browserOf = launchedEngines();
let relay: RelayProcess;

beforeAll(async () => {
  // Firefox may close a tab before its page has said goodbye; the room is then given up when the grace period is over.
  relay = await startLimitedRelay({ graceMs: 10_000 });
  await mkdir(screenshots, { recursive: true });
});

afterAll(async () => {
  await relay?.stop();
});

/** Goes to the page, and notes what goes wrong there. */
async function visit(tab: EngineTab, address: string): Promise<void> {
  await tab.goto(address);
  await tab.evaluate(`(() => {
    globalThis.uncaught = [];
    addEventListener("error", (event) => uncaught.push(String(event.message)));
    addEventListener("unhandledrejection", (event) => uncaught.push(String(event.reason)));
    addEventListener("securitypolicyviolation", (event) => uncaught.push(event.violatedDirective));
  })()`);
}

/** Resolves when a condition holds in the page, of which something changes first if it doesn't yet. */
async function until(tab: EngineTab, condition: string): Promise<void> {
  await tab.evaluate(`new Promise((resolve) => {
    const check = () => {
      if (!(${condition})) return;
      observer.disconnect();
      resolve();
    };
    const observer = new MutationObserver(check);
    observer.observe(document, { subtree: true, childList: true, attributes: true, characterData: true });
    check();
  })`);
}

const find = (selector: string) => `document.querySelector(${JSON.stringify(selector)})`;
const present = (tab: EngineTab, others: number) => until(tab, find(`main[data-others="${others}"]`));

async function click(tab: EngineTab, selector: string): Promise<void> {
  await tab.evaluate(`${find(selector)}.click()`);
}

async function say(tab: EngineTab, text: string): Promise<void> {
  await tab.evaluate(`${find("#text")}.value = ${JSON.stringify(text)}`);
  await click(tab, "#composer [type=submit]");
}

const said = (tab: EngineTab, text: string) =>
  until(tab, `${find('[data-kind="chat"][data-by="other"] .bubble')}?.textContent === ${JSON.stringify(text)}`);

const sha256 = `async (blob) => new Uint8Array(await crypto.subtle.digest("SHA-256", await blob.arrayBuffer())).join()`;

/** Chooses a file of random bytes in the page. Resolves with its hash. */
function send(tab: EngineTab, name: string): Promise<unknown> {
  return tab.evaluate(`(async () => {
    const parts = Array.from({ length: ${fileBytes / 65_536} }, () => crypto.getRandomValues(new Uint8Array(65_536)));
    const file = new File(parts, ${JSON.stringify(name)});
    const chosen = new DataTransfer();
    chosen.items.add(file);
    const input = ${find("#files")};
    input.files = chosen.files;
    input.dispatchEvent(new Event("change", { bubbles: true }));
    return (${sha256})(file);
  })()`);
}

/** Has the page keep what it offers to save: its policy forbids to fetch that. */
async function keepReceived(tab: EngineTab): Promise<void> {
  await tab.evaluate(`(() => {
    const { createObjectURL } = URL;
    URL.createObjectURL = (blob) => createObjectURL((globalThis.received = blob));
  })()`);
}

test.each(engines)("the page works in $name", async (engine) => {
  const browser = browserOf(engine);
  const [host, guest] = (await Promise.all([browser.openTab(relay.origin), browser.openTab(relay.origin)])) as [
    EngineTab,
    EngineTab,
  ];
  await visit(host, relay.origin);
  expect(await host.evaluate("document.documentElement.scrollHeight - innerHeight")).toBe(0);
  await click(host, '#start-form [value="open"]');
  await until(host, find('main[data-state="open"]'));
  await visit(guest, (await host.evaluate(`${find("#link")}.value`)) as string);
  await until(guest, find('main[data-state="joined"]'));
  await Promise.all([present(host, 1), present(guest, 1)]);

  await say(host, `Hello from the host, in ${engine.name}`);
  await said(guest, `Hello from the host, in ${engine.name}`);
  await say(guest, "Hello from the guest");
  await said(host, "Hello from the guest");

  await keepReceived(guest);
  const sent = await send(host, "random.bin");
  await until(guest, find('.file[data-state="done"] .save[download="random.bin"]'));
  await until(host, find('.transfer[data-state="done"]'));
  expect(await guest.evaluate(`(${sha256})(received)`)).toBe(sent);

  for (const [who, tab] of Object.entries({ host, guest })) {
    await writeFile(`${screenshots}/${engine.name.toLowerCase()}-${who}.png`, await tab.screenshot());
    expect(await tab.evaluate("uncaught")).toEqual([]);
  }

  // The host's tab opens its room again when it is loaded again, and the guest comes back by itself.
  await host.goto("about:blank");
  await until(guest, find('main[data-state="gone"]'));
  expect(await guest.evaluate(`${find("#present-title")}.checkVisibility()`)).toBe(false);
  await host.goto((await guest.evaluate("location.href")) as string);
  await Promise.all([until(host, find('main[data-state="open"]')), until(guest, find('main[data-state="joined"]'))]);
  await host.close();
  await until(guest, find('main[data-state="gone"]'));
  await guest.close();
});
