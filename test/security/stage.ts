import { readFileSync } from "node:fs";
import { mintToken, type RelayCounts, type RelayLimits } from "browser-stream-server/server";
import type { Attack, Outcome } from "./attack.ts";
import { Bystander, type BystanderFigures } from "./programs/bystander.ts";
import { type ServerKind, ServerProcess } from "./programs/server-process.ts";

/** The server has this long to come to rest after an attack, and a bystander as long to see what it left behind. */
const restMs = 250;
/** An attack that is not cut off gives up after this many times the time that it may take on the relay. */
const patience = { relay: 1.5, bare: 0.5 };

export interface Measurement {
  outcome: Outcome;
  /** Growth of the resident memory at its peak. */
  peakBytes: number;
  /** Growth of the memory in use after the attack, without garbage. */
  heldBytes: number;
  longestTurnMs: number;
  /** The counts of the attack that the relay still holds when it has come to rest. */
  left: readonly string[];
  /** Undefined at a server that is not the relay. */
  bystander: BystanderFigures | undefined;
}

export interface StageInit {
  kind?: ServerKind;
  limits?: Partial<RelayLimits> | undefined;
  isSecure?: boolean | undefined;
  servesAdmin?: boolean | undefined;
  secret?: string | undefined;
}

/** The relay has this long to let go of what the attackers held. */
const releaseMs = 5_000;
const pollMs = 20;
/** The bystander itself has a call more or less open at each moment. */
const bystanderCalls = 4;

const pause = (ms: number) => new Promise((resolve) => setTimeout(resolve, ms));

function selfSigned(): { cert: string; key: string } {
  const read = (name: string) => readFileSync(new URL(`../fixtures/tls/${name}.pem`, import.meta.url), "utf8");
  return { cert: read("cert"), key: read("key") };
}

/** A server in a process of its own, and a bystander in another one that uses it, if it is the relay. */
export class Stage {
  readonly #server: ServerProcess;
  readonly #isSecure: boolean;
  readonly #bystander: Bystander | undefined;

  private constructor(server: ServerProcess, isSecure: boolean, bystander?: Bystander) {
    this.#server = server;
    this.#isSecure = isSecure;
    this.#bystander = bystander;
  }

  /** The caller must close it. */
  static async open(init: StageInit = {}): Promise<Stage> {
    const { kind = "relay", limits, isSecure = false, servesAdmin = false, secret } = init;
    const tls = isSecure ? selfSigned() : undefined;
    const token =
      secret === undefined ? undefined : await mintToken({ secret, streams: { "**": ["listen", "connect"] } });
    const server = await ServerProcess.start({ kind, limits, tls, servesAdmin, secret });
    if (kind !== "relay") return new Stage(server, isSecure);
    const bystander = await Bystander.start({ port: server.port, isSecure, token }).catch(async (reason) => {
      await server.end();
      throw reason;
    });
    return new Stage(server, isSecure, bystander);
  }

  /** Plays an attack, and measures meanwhile. */
  async measure({ bounds, run }: Attack, amount: number, seed?: number): Promise<Measurement> {
    const [server, bystander] = [this.#server, this.#bystander];
    const before = await server.state(true);
    await server.forgetPeak();
    const { nowBytes } = await server.resident();
    await bystander?.figures();
    const target = {
      port: server.port,
      isSecure: this.#isSecure,
      server,
      seed,
      giveUpMs: patience[bystander === undefined ? "bare" : "relay"] * bounds.cutOffMs,
    };
    const outcome = await run(target, amount);
    await pause(restMs);
    const figures = await bystander?.figures();
    const { peakBytes } = await server.resident();
    const { longestTurnMs } = await server.state();
    const left = await this.#left(before.counts);
    const after = await server.state(true);
    return {
      left,
      outcome,
      peakBytes: peakBytes - nowBytes,
      heldBytes: after.heldBytes - before.heldBytes,
      longestTurnMs,
      bystander: figures,
    };
  }

  async #left(before: RelayCounts | undefined): Promise<string[]> {
    const deadlineMs = performance.now() + releaseMs;
    for (;;) {
      const { counts } = await this.#server.state();
      const names = before === undefined || counts === undefined ? [] : (Object.keys(counts) as (keyof RelayCounts)[]);
      const more = names.map((name) => [name, (counts?.[name] ?? 0) - (before?.[name] ?? 0)] as const);
      const left = more.filter(([, count]) => count > bystanderCalls);
      if (left.length === 0 || performance.now() > deadlineMs) return left.map(([name, count]) => `${count} ${name}`);
      await pause(pollMs);
    }
  }

  async close(): Promise<void> {
    await this.#bystander?.end();
    await this.#server.end();
  }
}
