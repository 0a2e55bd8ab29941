import type { Failure } from "browser-stream-server";
import { type RelayServer, StreamServerProxy, serveRelay } from "browser-stream-server/server";
import { afterAll, beforeAll, describe, expect, test } from "vitest";
import type { EngineTab } from "../../engines/engine.js";
import { engines } from "../../engines/engines.js";
import { launchedEngines } from "../../engines/launched-engines.js";

/** The number of tabs, one more than a browser has connections to an origin over HTTP/1.1. */
const tabs = 7;
const awayMs = 3_000;
const pollMs = 250;
const maxPolls = 240;

const browserOf = launchedEngines();
let relay: RelayServer;
let port = 0;

const startRelay = async () => {
  relay = await serveRelay({ proxy: StreamServerProxy(), port, host: "127.0.0.1" });
  port = relay.port;
};

beforeAll(startRelay);
afterAll(() => relay?.close());

/** In a page: listens on a name, and notes what becomes of it. */
const listener = (name: string) => `
  import { StreamServer } from "browser-stream-server";
  const server = StreamServer(location.origin, (stream) => stream.pipe(stream)).listen("${name}");
  globalThis.state = { transport: undefined, events: [] };
  server.on("error", ({ failure }) => state.events.push(failure));
  for (const event of ["suspended", "resumed"]) {
    server.on(event, () => {
      state.events.push(event);
      state.transport = server.transport;
    });
  }
  await server.ready;
`;

describe.each(engines)("$name", (engine) => {
  test("seven tabs come back on WebSockets after a restart of the relay, and no failure is told", async () => {
    const open: EngineTab[] = [];
    try {
      for (let at = 0; at < tabs; at += 1) {
        const tab = await browserOf(engine).openTab(`http://127.0.0.1:${port}`);
        open.push(tab);
        await tab.run(listener(`${engine.name} ${at}`));
      }
      const allResumed = async () => {
        for (let polls = 0; polls < maxPolls; polls += 1) {
          const states = (await Promise.all(open.map((tab) => tab.evaluate("state")))) as {
            transport?: string;
            events: (string | Failure)[];
          }[];
          if (states.every(({ events }) => events.length > 0 && events.at(-1) !== "suspended")) return states;
          await new Promise((resolve) => setTimeout(resolve, pollMs));
        }
        throw new Error("not every tab listens");
      };
      await relay.close();
      await new Promise((resolve) => setTimeout(resolve, awayMs));
      await startRelay();
      const states = await allResumed();
      expect(states).toEqual(Array(tabs).fill({ transport: "websocket", events: ["suspended", "resumed"] }));
    } finally {
      for (const tab of open) await tab.close();
    }
  }, 120_000);
});
