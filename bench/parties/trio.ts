import type { ContenderEntry } from "../contenders.ts";
import type { Usage } from "./calls.ts";
import { Party } from "./party.ts";

/** The name that the listener of a trio has from the beginning. */
export const steadyName = "steady0";

/** The CPU time of each process, in ms. */
export interface CpuTimes {
  relay: number;
  listener: number;
  client: number;
}

/** Relay, listener and client of a contender, as three processes. Whoever starts it must stop it. */
export class Trio {
  readonly contender: ContenderEntry;
  readonly relay: Party<"relay">;
  readonly listener: Party<"listener">;
  readonly client: Party<"client">;
  #port = 0;

  private constructor(contender: ContenderEntry) {
    this.contender = contender;
    // The first that ends tells why the others' calls fail.
    const onEnded = (error: Error) => {
      for (const party of [this.relay, this.listener, this.client]) party.fail(error);
    };
    this.relay = new Party("relay", contender, onEnded);
    this.listener = new Party("listener", contender, onEnded);
    this.client = new Party("client", contender, onEnded);
  }

  /** Starts the processes, and has the listener listen on one name. */
  static async start(contender: ContenderEntry): Promise<Trio> {
    const trio = new Trio(contender);
    try {
      trio.#port = await trio.relay.call.serve();
      const names = { name: "steady", count: 1, firstConnection: 0, perConnection: 1 };
      await trio.listener.call.listen(trio.#port, names);
      return trio;
    } catch (error) {
      await trio.stop();
      throw error;
    }
  }

  get port(): number {
    return this.#port;
  }

  /** Opens streams to the listener, all on the client's first connection. Resolves with their group. */
  open(count: number): Promise<number> {
    const streams = { name: steadyName, count, firstConnection: 0, perConnection: count };
    return this.client.call.open(this.#port, streams);
  }

  /** Runs a task, and tells what CPU time each process used meanwhile. */
  async withCpu<T>(task: () => Promise<T>): Promise<[result: T, cpuMs: CpuTimes]> {
    const before = await this.#usages();
    const result = await task();
    const after = await this.#usages();
    const used = (role: keyof CpuTimes) => after[role].cpuMs - before[role].cpuMs;
    return [result, { relay: used("relay"), listener: used("listener"), client: used("client") }];
  }

  async stop(): Promise<void> {
    await Promise.all([this.relay.stop(), this.listener.stop(), this.client.stop()]);
  }

  async #usages(): Promise<Record<keyof CpuTimes, Usage>> {
    const [relay, listener, client] = await Promise.all([
      this.relay.call.usage(),
      this.listener.call.usage(),
      this.client.call.usage(),
    ]);
    return { relay, listener, client };
  }
}
