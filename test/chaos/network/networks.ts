import { setTimeout as sleep } from "node:timers/promises";
import type { TransportLike } from "browser-stream-server";
import { openWay, tidyCarriers, type Way } from "../carriers.ts";
import type { History } from "../history/history.ts";
import type { Party } from "../history/step.ts";
import { graceMs } from "../limits.ts";
import { ChaosProxy } from "./chaos-proxy.ts";

/**
 * The relay may hold a stream for an endpoint that it has told nothing until the grace period is over, or wait for the
 * end of requests until its linger timeout, which is 30 s.
 */
const restTimeoutMs = graceMs + 30_000;
const pollMs = 50;

/** The network of each party of a history, and its way over that to the relay. */
export class Networks {
  readonly #carriers: Pick<History, Party>;
  readonly #proxies = new Map<Party, ChaosProxy>();
  readonly #ways = new Map<Party, Way>();

  private constructor(carriers: Pick<History, Party>) {
    this.#carriers = carriers;
  }

  /** A client in the relay's own process has none. The caller must close them. */
  static async open(carriers: Pick<History, Party>, port: number): Promise<Networks> {
    const networks = new Networks(carriers);
    for (const party of ["client", "listener"] as const) {
      const carrier = carriers[party];
      if (carrier === "local") continue;
      const proxy = await ChaosProxy.open(port);
      networks.#proxies.set(party, proxy);
      networks.#ways.set(party, openWay(carrier, proxy.origin));
    }
    return networks;
  }

  of(party: Party): ChaosProxy | undefined {
    return this.#proxies.get(party);
  }

  transport(party: Party): TransportLike {
    const way = this.#ways.get(party);
    if (way === undefined) throw new Error(`the ${party} has no way to the relay`);
    return way.transport;
  }

  /** New connections lead to a relay on another port, or are refused. */
  lead(port: number | undefined): void {
    for (const proxy of this.#proxies.values()) proxy.targetPort = port;
  }

  /** Waits until connections have ended by themselves, and returns what is wrong if they do not. */
  async rest(): Promise<string[]> {
    const problems: string[] = [];
    for (const [party, proxy] of this.#proxies) {
      if (!tidyCarriers.has(this.#carriers[party]) || (await isSoon(() => proxy.connections === 0))) continue;
      problems.push(`the ${party} keeps ${proxy.connections} connections`);
    }
    for (const way of this.#ways.values()) way.close();
    return problems;
  }

  async close(): Promise<void> {
    for (const way of this.#ways.values()) way.close();
    for (const proxy of this.#proxies.values()) await proxy.close();
  }
}

/** Waits until the relay holds nothing, and returns what it holds if it goes on to. */
export async function restOf(relay: { counts(): Promise<object> }): Promise<string[]> {
  let counts = {};
  const isEmpty = async () => {
    counts = await relay.counts();
    return Object.values(counts).every((count) => count === 0);
  };
  return (await isSoon(isEmpty)) ? [] : [`the relay still holds ${JSON.stringify(counts)}`];
}

async function isSoon(holds: () => boolean | Promise<boolean>): Promise<boolean> {
  const deadlineMs = performance.now() + restTimeoutMs;
  while (!(await holds())) {
    if (performance.now() > deadlineMs) return false;
    await sleep(pollMs);
  }
  return true;
}
