import type { StreamContenderEntry } from "../contenders.ts";
import { Party } from "./party.ts";

/** The name that the listener of a trio has on its first connection. */
const steady = "steady";
export const steadyName = `${steady}0`;
/** A hundred streams reach no relay's limit for one connection. */
const crowdPerConnection = 100;

/** The CPU time of each process, in ms. */
export interface CpuTimes {
  relay: number;
  listener: number;
  client: number;
}

/** Relay, listener and client of a contender, as three processes. The caller of `start` must call `stop`. */
export class Trio {
  readonly contender: StreamContenderEntry;
  readonly relay: Party<"relay">;
  readonly listener: Party<"listener">;
  readonly client: Party<"client">;
  #port = 0;
  #nextConnection = 1;

  private constructor(contender: StreamContenderEntry) {
    this.contender = contender;
    // If one process ends, the calls of all three fail, with the reason of the first.
    const onEnded = (error: Error) => {
      for (const party of [this.relay, this.listener, this.client]) party.fail(error);
    };
    this.relay = new Party("relay", contender, onEnded);
    this.listener = new Party("listener", contender, onEnded);
    this.client = new Party("client", contender, onEnded);
  }

  /** Starts the processes, and has the listener listen on one name. */
  static async start(contender: StreamContenderEntry): Promise<Trio> {
    const trio = new Trio(contender);
    try {
      trio.#port = await trio.relay.call.serve();
      await trio.listener.call.listen(trio.#port, { name: steady, count: 1, firstConnection: 0, perConnection: 1 });
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
    return this.client.call.open(this.#port, { name: steady, count, firstConnection: 0, perConnection: count });
  }

  /** Opens streams that stay idle, a hundred on each of further connections of the listener and of the client. */
  async openCrowd(count: number): Promise<void> {
    const firstConnection = this.#nextConnection;
    const connections = Math.ceil(count / crowdPerConnection);
    this.#nextConnection += connections;
    const crowd = { name: "crowd", firstConnection };
    await this.listener.call.listen(this.#port, { ...crowd, count: connections, perConnection: 1 });
    await this.client.call.open(this.#port, { ...crowd, count, perConnection: crowdPerConnection });
  }

  /** Runs a task. Resolves with its result, and with the CPU time that each process used meanwhile. */
  async withCpu<T>(task: () => Promise<T>): Promise<[result: T, cpuMs: CpuTimes]> {
    const before = await this.#cpuTimes();
    const result = await task();
    const after = await this.#cpuTimes();
    const used = (role: keyof CpuTimes) => after[role] - before[role];
    return [result, { relay: used("relay"), listener: used("listener"), client: used("client") }];
  }

  async stop(): Promise<void> {
    await Promise.all([this.relay.stop(), this.listener.stop(), this.client.stop()]);
  }

  async #cpuTimes(): Promise<CpuTimes> {
    const [relay, listener, client] = await Promise.all([
      this.relay.call.cpuMs(),
      this.listener.call.cpuMs(),
      this.client.call.cpuMs(),
    ]);
    return { relay, listener, client };
  }
}
