import type { Browser } from "playwright-core";
import { afterAll, beforeAll, expect, test } from "vitest";
import { reachable } from "../reachable.js";
import { type RelayProcess, startRelay } from "../relay-process.js";
import { launchBrowser, openTab } from "./browser.js";

let browser: Browser;
let relay: RelayProcess;

beforeAll(async () => {
  [browser, relay] = await Promise.all([launchBrowser(), startRelay()]);
});

afterAll(async () => {
  await browser?.close();
  await relay?.stop();
});

const listening = `
import { StreamServer } from "browser-stream-server";
const transport = location.origin;
StreamServer(transport, (stream) => {
  stream.on("data", (data) => console.log("[SERVER]", data));
  stream.write("from server");
}).listen("SERVER_NAME");
`;

const connecting = `
import { StreamClient } from "browser-stream-server";
const transport = location.origin;
const stream = StreamClient(transport).connect("SERVER_NAME");
stream.on("data", (data) => console.log("[CLIENT]", data));
stream.write("from client");
`;

test("two tabs greet each other", async () => {
  const [listener, client] = await Promise.all(
    [await browser.newContext(), await browser.newContext()].map((context) => openTab(context, relay.origin)),
  );
  await listener!.run(listening);
  await reachable(relay.origin, "SERVER_NAME");
  await client!.run(connecting);
  await listener!.prints("[SERVER] from client");
  await client!.prints("[CLIENT] from server");
  expect(listener!.printed).toEqual(["[SERVER] from client"]);
  expect(client!.printed).toEqual(["[CLIENT] from server"]);
});
