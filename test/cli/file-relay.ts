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

/**
 * Starts a relay with limits for the tests of a file, and stops it after them. A file calls it once, at its top.
 */
export function useFileRelay(limits: Partial<RelayLimits> = {}): FileRelay {
  let relay: RelayProcess;
  let folder: string;
  beforeAll(async () => {
    folder = mkdtempSync(join(tmpdir(), "bss-"));
    const config = join(folder, "relay.json");
    writeFileSync(config, JSON.stringify({ limits }));
    relay = await startRelay("--host", "127.0.0.1", "--config", config);
  });
  afterAll(async () => {
    await relay.stop();
    rmSync(folder, { recursive: true });
  });
  return {
    get origin() {
      return relay.origin;
    },
    command: (...args) => new CommandLine(args, { BSS_RELAY: relay.origin }),
  };
}
