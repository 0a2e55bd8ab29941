import { afterAll, beforeAll } from "vitest";
import { type RelayProcess, startRelay } from "../relay-process.js";
import { CommandLine } from "./command-line.js";

/** A relay of its own for the tests of a file, and commands that use it. */
export interface FileRelay {
  readonly origin: string;
  command(...args: string[]): CommandLine;
}

/** Starts a relay for the tests of a file, and stops it after them. A file calls it once, at its top. */
export function useFileRelay(): FileRelay {
  let relay: RelayProcess;
  beforeAll(async () => {
    relay = await startRelay("--host", "127.0.0.1");
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
