import { readFileSync } from "node:fs";
import type { RelayLimits } from "browser-stream-server/server";
import type { Attack, Extent, Outcome } from "./attack.ts";
import { Bystander, type BystanderFigures } from "./bystander.ts";
import { type ServerKind, ServerProcess } from "./server-process.ts";

/** The server has this long to come to rest after an attack, and a bystander as long to see what it left behind. */
const restMs = 250;
/** An attack that is not cut off gives up after this many times the time that it may take. */
const patience = 2;

export interface Measurement {
  outcome: Outcome;
  /** Growth of the resident memory at its peak. */
  peakBytes: number;
  /** Growth of the memory in use after the attack, without garbage. */
  heldBytes: number;
  longestTurnMs: number;
  /** Undefined at a server that is not the relay. */
  bystander: BystanderFigures | undefined;
}

export interface StageInit {
  kind?: ServerKind;
  limits?: Partial<RelayLimits> | undefined;
  isSecure?: boolean;
}

const pause = (ms: number) => new Promise((resolve) => setTimeout(resolve, ms));

function selfSigned(): { cert: string; key: string } {
  const read = (name: string) => readFileSync(new URL(`../fixtures/tls/${name}.pem`, import.meta.url), "utf8");
  return { cert: read("cert"), key: read("key") };
}

/** A server in a process of its own, and a bystander in another one that uses it, if it is the relay. */
export class Stage {
  readonly #server: ServerProcess;
  readonly #bystander: Bystander | undefined;

  private constructor(server: ServerProcess, bystander: Bystander | undefined) {
    this.#server = server;
    this.#bystander = bystander;
  }

  /** The caller must close it. */
  static async open({ kind = "relay", limits, isSecure = false }: StageInit = {}): Promise<Stage> {
    const server = await ServerProcess.start({ kind, limits, tls: isSecure ? selfSigned() : undefined });
    if (kind !== "relay") return new Stage(server, undefined);
    const bystander = await Bystander.start({ port: server.port, isSecure }).catch(async (reason) => {
      await server.end();
      throw reason;
    });
    return new Stage(server, bystander);
  }

  /** Plays an attack, and measures meanwhile. */
  async measure({ amount, bounds, run }: Attack, extent: Extent): Promise<Measurement> {
    const [server, bystander] = [this.#server, this.#bystander];
    const before = await server.state(true);
    await server.forgetPeak();
    const { nowBytes } = await server.resident();
    await bystander?.figures();
    const outcome = await run({ port: server.port, giveUpMs: patience * bounds.cutOffMs }, amount[extent]);
    await pause(restMs);
    const figures = await bystander?.figures();
    const { peakBytes } = await server.resident();
    const { longestTurnMs } = await server.state();
    const after = await server.state(true);
    return {
      outcome,
      peakBytes: peakBytes - nowBytes,
      heldBytes: after.heldBytes - before.heldBytes,
      longestTurnMs,
      bystander: figures,
    };
  }

  async close(): Promise<void> {
    await this.#bystander?.end();
    await this.#server.end();
  }
}
