import { writeFile } from "node:fs/promises";
import { join } from "node:path";
import type { Browser, Page } from "playwright-core";
import { build, type Rolldown } from "vite";
import { afterAll, beforeAll, expect, onTestFinished, test } from "vitest";
import { ChaosProxy } from "../../chaos/network/chaos-proxy.js";
import { root } from "../../gate/command.js";
import { openRelay } from "../../integration/relay-ports.js";
import { launchBrowser } from "../browser.js";
import { serveExample } from "../built-example.js";

let browser: Browser;

beforeAll(async () => {
  browser = await launchBrowser();
});

afterAll(() => browser?.close());

async function open(url: string, body?: string): Promise<Page> {
  const context = await browser.newContext();
  onTestFinished(() => context.close());
  const page = await context.newPage();
  if (body !== undefined) await page.route(url, (route) => route.fulfill({ contentType: "text/html", body }));
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

/** A host and a guest that give the hooks no callbacks, and say something to each other all the same. */
const withoutCallbacks = `
import { createElement, StrictMode, useEffect } from "react";
import { createRoot } from "react-dom/client";
import { useStream } from "../../examples/react-hooks/src/useStream.js";
import { useStreamServer } from "../../examples/react-hooks/src/useStreamServer.js";

function Host() {
  const { state, streams, broadcast } = useStreamServer(location.origin, "room");
  useEffect(() => void broadcast("hello"), [streams, broadcast]);
  return createElement("p", null, \`host \${state} \${streams.length}\`);
}

function Guest() {
  const { state, send } = useStream(location.origin, "room");
  return createElement("p", null, \`guest \${state} \${send("hello")}\`);
}

const roots = ["host", "guest"].map((id) => createRoot(document.getElementById(id)));
const show = (...components) => {
  for (const [at, component] of components.entries()) roots[at].render(createElement(StrictMode, null, component));
};
show(createElement(Host), createElement(Guest));
globalThis.leave = () => show(createElement(Host), null);
`;

test("the hooks of examples/react-hooks need no callbacks, and end their streams with their component", async () => {
  const relay = await openRelay();
  onTestFinished(() => relay.close());
  const entry = join(root, "test/.out/react-hooks-without-callbacks.js");
  await writeFile(entry, withoutCallbacks);
  const lib = { entry, formats: ["es" as const] };
  const define = { "process.env.NODE_ENV": JSON.stringify("development") };
  const built = await build({ root, configFile: false, logLevel: "error", define, build: { write: false, lib } });
  const [chunk] = (built as Rolldown.RolldownOutput[])[0]?.output ?? [];
  const page = await open(
    `${relay.origin}/page.html`,
    `<link rel="icon" href="data:,"><div id="host"></div><div id="guest"></div>`,
  );
  await page.addScriptTag({ type: "module", content: chunk?.code ?? "" });
  await Promise.all([says(page, "host listening 1"), says(page, "guest open true")]);
  await page.evaluate("leave()");
  await says(page, "host listening 0");
});
