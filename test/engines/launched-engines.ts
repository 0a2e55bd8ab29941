import { afterAll, beforeAll } from "vitest";
import type { Engine, EngineBrowser } from "./engine.js";
import { engines } from "./engines.js";

/** Launches every engine once for a test file, and ends them after it. */
export function launchedEngines(): (engine: Engine) => EngineBrowser {
  const browsers = new Map<Engine, EngineBrowser>();

  beforeAll(async () => {
    const launches = engines.map(async (engine) => void browsers.set(engine, await engine.launch()));
    const results = await Promise.allSettled(launches);
    for (const result of results) if (result.status === "rejected") throw result.reason;
  });

  afterAll(async () => {
    await Promise.all([...browsers.values()].map((browser) => browser.close()));
  });

  return (engine) => {
    const browser = browsers.get(engine);
    if (browser === undefined) throw new Error(`${engine.name} is not launched`);
    return browser;
  };
}
