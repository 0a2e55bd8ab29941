import { mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import type { RelayLimits } from "browser-stream-server/server";
import { afterAll, beforeAll } from "vitest";
import { type RelayProcess, startRelay } from "../relay-process.js";
import { CommandLine } from "./command-line.js";

/** A relay of its own for the tests of a file, and commands that use it. */
export interface FileRelay {
  readonly origin: string;
  command(...args: string[]): CommandLine;
}

/** Starts a relay with limits, which the test stops. */
export async function startLimitedRelay(limits: Partial<RelayLimits>): Promise<RelayProcess> {
  const folder = mkdtempSync(join(tmpdir(), "bss-"));
  const config = join(folder, "relay.json");
  writeFileSync(config, JSON.stringify({ limits }));
  try {
    return await startRelay("--host", "127.0.0.1", "--config", config);
  } finally {
    // The relay has read it.
    rmSync(folder, { recursive: true });
  }
}

/** Starts a relay for the tests of a file, and stops it after them. A file calls it once, at its top. */
export function useFileRelay(limits: Partial<RelayLimits> = {}): FileRelay {
  let relay: RelayProcess;
  beforeAll(async () => {
    relay = await startLimitedRelay(limits);
  });
  afterAll(async () => {
    await relay.stop();
  });
  return {
    get origin() {
      return relay.origin;
    },
    command: (...args) => new CommandLine(args, { BSS_RELAY: relay.origin }),
  };
}
