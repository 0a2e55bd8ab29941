import type { Role } from "../../setup/example-programs.js";
import { Agent } from "../agents/agent.js";
import type { Kind, Stage } from "../agents/kinds.js";

/** A listener that has claimed a name. */
export interface Listening {
  readonly agent: Agent;
  readonly name: string;
}

let names = 0;

/** Starts a program of some kind, with these after the relay on its command line. */
export function startAgent(stage: Stage, kind: Kind, role: Role, args: readonly string[]): Promise<Agent> {
  const { host } = new URL(stage.relay.origin);
  return Agent.start(`the ${kind.name} ${role}`, kind.program(stage, role, [host, ...args]));
}

/** Starts a listener on a name that nobody has used, which takes only clients with the password, if one is given. */
export async function startListener(stage: Stage, kind: Kind, password?: string): Promise<Listening> {
  const name = `${kind.name} ${++names}`;
  const agent = await startAgent(stage, kind, "listener", password === undefined ? [name] : [name, password]);
  try {
    await agent.says("listening");
  } catch (reason) {
    await agent.kill();
    throw reason;
  }
  return { agent, name };
}

/**
 * The things that the checks of one row of the matrix share: the listener's kind, and a listener that lives as long as
 * all is well.
 */
export class Row {
  readonly kind: Kind;
  readonly password = "open sesame";
  #listening: Promise<Listening> | undefined;

  constructor(kind: Kind) {
    this.kind = kind;
  }

  listener(stage: Stage): Promise<Listening> {
    this.#listening ??= startListener(stage, this.kind, this.password);
    return this.#listening;
  }

  /** Ends the listener; whoever asks next gets another. */
  async discard(): Promise<void> {
    const listening = this.#listening;
    this.#listening = undefined;
    await (await listening?.catch(() => undefined))?.agent.kill();
  }
}
