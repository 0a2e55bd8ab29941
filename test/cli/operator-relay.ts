import { mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { onTestFinished } from "vitest";
import { startRelay } from "../relay-process.js";
import { CommandLine } from "./command-line.js";

/** A relay that serves operators, and the access tokens of an operator and of somebody who may use all names. */
export interface OperatorRelay {
  origin: string;
  operatorToken: string;
  userToken: string;
}

/** Starts a relay, which ends with the test. */
export async function startOperatorRelay(): Promise<OperatorRelay> {
  const folder = mkdtempSync(join(tmpdir(), "bss-"));
  onTestFinished(() => rmSync(folder, { recursive: true }));
  const secret = join(folder, "secret");
  const relay = await startRelay("--host", "127.0.0.1", "--secret-file", secret, "--admin");
  onTestFinished(() => void relay.stop());
  const minted = async (...args: string[]) =>
    (await new CommandLine(["token", "--key", secret, ...args]).run()).output.trim();
  const [operatorToken, userToken] = await Promise.all([
    minted("--admin"),
    minted("--listen", "**", "--connect", "**"),
  ]);
  return { origin: relay.origin, operatorToken, userToken };
}
