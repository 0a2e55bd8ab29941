import { randomBytes } from "node:crypto";
import { setTimeout as sleep } from "node:timers/promises";
import type { RelayCounts, RelayLimits } from "browser-stream-server/server";
import type { RelayFault } from "../history/step.ts";
import { RelayChild, type RelayState } from "./relay-child.ts";

export interface ChaosRelayOptions {
  limits: Partial<RelayLimits>;
  /** The time that a drained relay may take. */
  drainTimeoutMs: number;
}

/** The name of a relay, as it were: processes come and go, and their keys and, where it is free, the port stay. */
export class ChaosRelay {
  readonly #options: ChaosRelayOptions;
  readonly #tokenKey = randomBytes(32).toString("base64url");
  readonly #problems: string[] = [];
  readonly #leaving = new Set<Promise<unknown>>();
  #current!: RelayChild;
  #last = Promise.resolve();
  /** Called when new connections lead to another port, or nowhere, because another relay may get the port meanwhile. */
  onMove: (port: number | undefined) => void = () => {};

  private constructor(options: ChaosRelayOptions) {
    this.#options = options;
  }

  static async start(options: ChaosRelayOptions): Promise<ChaosRelay> {
    const relay = new ChaosRelay(options);
    relay.#current = await relay.#another(0);
    return relay;
  }

  get port(): number {
    return this.#current.port;
  }

  /** What the relay's processes have said that is wrong. */
  get problems(): readonly string[] {
    return this.#problems;
  }

  /** Of the process that new connections lead to. */
  state(collects = false): Promise<RelayState> {
    return this.#current.state(collects);
  }

  async counts(): Promise<RelayCounts> {
    return (await this.state()).counts;
  }

  /**
   * Does something to the process when all that was to be done before is done, and resolves when the relay is back. See
   * `Step`.
   */
  suffer(how: RelayFault, ms: number): Promise<void> {
    this.#last = this.#last.then(() => this.#suffer(how, ms));
    return this.#last;
  }

  async close(): Promise<void> {
    await this.#last;
    await Promise.all(this.#leaving);
    if (this.#current.isAlive) await this.#current.end("SIGKILL");
  }

  async #suffer(how: RelayFault, ms: number): Promise<void> {
    const old = this.#current;
    switch (how) {
      case "freeze":
        old.signal("SIGSTOP");
        await sleep(ms);
        old.signal("SIGCONT");
        return;
      case "kill":
        await old.end("SIGKILL");
        this.onMove(undefined);
        await sleep(ms);
        return this.#restart();
      case "drain":
        await this.#drained(old);
        this.onMove(undefined);
        await sleep(ms);
        return this.#restart();
      case "roll":
        this.#lead(await this.#another(0));
        await sleep(ms);
        this.#leaving.add(this.#drained(old));
        return;
    }
  }

  async #drained(child: RelayChild): Promise<void> {
    const startMs = performance.now();
    const late = setTimeout(() => child.signal("SIGKILL"), this.#options.drainTimeoutMs + 3_000);
    const code = await child.end("SIGTERM");
    clearTimeout(late);
    if (code !== 0) {
      const seconds = ((performance.now() - startMs) / 1_000).toFixed(1);
      this.#problems.push(`a drained relay ended with ${code} after ${seconds} s`);
    }
  }

  async #restart(): Promise<void> {
    // Somebody else may have got the port meanwhile.
    this.#lead(await this.#another(this.port).catch(() => this.#another(0)));
  }

  #lead(child: RelayChild): void {
    this.#current = child;
    this.onMove(child.port);
  }

  #another(port: number): Promise<RelayChild> {
    const { limits, drainTimeoutMs } = this.#options;
    const order = { port, tokenKey: this.#tokenKey, limits, drainTimeoutMs };
    return RelayChild.start(order, (text) => this.#problems.push(text));
  }
}
