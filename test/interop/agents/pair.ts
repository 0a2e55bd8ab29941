import { type Listening, type Row, startAgent, startListener } from "../matrix/row.js";
import type { Agent } from "./agent.js";
import type { Kind, Stage } from "./kinds.js";

/** A listener of one kind and clients of another, for one check. */
export class Pair {
  readonly listenerKind: Kind;
  readonly clientKind: Kind;
  readonly #stage: Stage;
  readonly #row: Row;
  readonly #agents: Agent[] = [];

  constructor(stage: Stage, row: Row, clientKind: Kind) {
    this.#stage = stage;
    this.#row = row;
    this.listenerKind = row.kind;
    this.clientKind = clientKind;
  }

  /** The password of the {@link listener}. */
  get password(): string {
    return this.#row.password;
  }

  /** The listener that the checks of the row share. */
  listener(): Promise<Listening> {
    return this.#row.listener(this.#stage);
  }

  /** A listener without a password, for this check alone. */
  async ownListener(): Promise<Listening> {
    const listening = await startListener(this.#stage, this.listenerKind);
    this.#agents.push(listening.agent);
    return listening;
  }

  /** A client of the shared listener, with the right password. */
  async connected(...options: string[]): Promise<{ listener: Agent; client: Agent }> {
    const { agent: listener, name } = await this.listener();
    return { listener, client: await this.client(name, this.password, ...options) };
  }

  client(...args: string[]): Promise<Agent> {
    return this.#start("client", args);
  }

  /** A second listener, of the client's kind. */
  rival(...args: string[]): Promise<Agent> {
    return this.#start("listener", args);
  }

  /** Ends what this check started. */
  async close(): Promise<void> {
    await Promise.all(this.#agents.map((agent) => agent.kill()));
  }

  async #start(role: "listener" | "client", args: string[]): Promise<Agent> {
    const agent = await startAgent(this.#stage, this.clientKind, role, args);
    this.#agents.push(agent);
    return agent;
  }
}
