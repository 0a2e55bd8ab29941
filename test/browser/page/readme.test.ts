import type { Browser } from "playwright-core";
import { afterAll, beforeAll, expect, test } from "vitest";
import { reachable } from "../../reachable.js";
import { readmeBlocks } from "../../readme.js";
import { type RelayProcess, startRelay } from "../../relay-process.js";
import { launchBrowser, openTab } from "../browser.js";

let browser: Browser;
let relay: RelayProcess;

beforeAll(async () => {
  [browser, relay] = await Promise.all([launchBrowser(), startRelay()]);
});

afterAll(async () => {
  await browser?.close();
  await relay?.stop();
});

test("the README's two tabs greet each other", async () => {
  const [listening = "", connecting = ""] = readmeBlocks("js");
  const listener = await openTab(await browser.newContext(), relay.origin);
  const client = await openTab(await browser.newContext(), relay.origin);
  await listener.run(listening);
  await reachable(relay.origin, "SERVER_NAME");
  await client.run(connecting);
  await listener.prints("[SERVER] from client");
  await client.prints("[CLIENT] from server");
  // The first client only asked whether the name was there, and its going is an error for the listener.
  expect(listener.printed).toEqual([expect.stringMatching(/^\[SERVER\] /), "[SERVER] from client"]);
  expect(client.printed).toEqual(["[CLIENT] from server"]);
});
