import { Failure } from "browser-stream-server";
import { type RelayServer, StreamServerProxy, serveRelay } from "browser-stream-server/server";
import { afterAll, beforeAll, describe, expect, test } from "vitest";
import type { EngineTab } from "../engines/engine.js";
import { engines } from "../engines/engines.js";
import { launchedEngines } from "../engines/launched-engines.js";

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

/** In a page: listens on a name, and again whenever that fails. */
const listener = (name: string) => `
  import { StreamServer } from "browser-stream-server";
  globalThis.state = { transport: undefined, failures: [] };
  const listen = () => {
    const server = StreamServer(location.origin, (stream) => stream.pipe(stream)).listen("${name}");
    server.on("error", ({ failure }) => {
      state.transport = undefined;
      state.failures.push(failure);
      setTimeout(listen, 500);
    });
    server.ready.then(() => { state.transport = server.transport; }, () => {});
  };
  listen();
`;

describe.each(engines)("$name", (engine) => {
  test("seven tabs come back on WebSockets after a restart of the relay, and no other failure is told", async () => {
    const open: EngineTab[] = [];
    try {
      for (let at = 0; at < tabs; at += 1) {
        const tab = await browserOf(engine).openTab(`http://127.0.0.1:${port}`);
        open.push(tab);
        await tab.run(listener(`${engine.name} ${at}`));
      }
      const allListen = async () => {
        for (let polls = 0; polls < maxPolls; polls += 1) {
          const states = (await Promise.all(open.map((tab) => tab.evaluate("state")))) as {
            transport?: string;
            failures: Failure[];
          }[];
          if (states.every(({ transport }) => transport !== undefined)) return states;
          await new Promise((resolve) => setTimeout(resolve, pollMs));
        }
        throw new Error("not every tab listens");
      };
      await allListen();
      await relay.close();
      await new Promise((resolve) => setTimeout(resolve, awayMs));
      await startRelay();
      const states = await allListen();
      expect(states.map(({ transport }) => transport)).toEqual(Array(tabs).fill("websocket"));
      const failures = new Set(states.flatMap(({ failures }) => failures));
      failures.delete(Failure.DRAINING);
      expect([...failures]).toEqual([Failure.LEG_LOST]);
    } finally {
      for (const tab of open) await tab.close();
    }
  }, 120_000);
});
