import { type ChildProcess, fork } from "node:child_process";
import { once } from "node:events";
import { fileURLToPath } from "node:url";
import type { RelayCounts, RelayLimits } from "browser-stream-server/server";

/** How a relay is to run. */
export interface RelayOrder {
  /** 0 for any port that is free. */
  port: number;
  tokenKey: string;
  limits: Partial<RelayLimits>;
  drainTimeoutMs: number;
}

export interface RelayQuestion {
  id: number;
  /** Whether garbage is collected before. */
  collects: boolean;
}

export interface RelayState {
  counts: RelayCounts;
  heapBytes: number;
}

export type RelayAnswer =
  | { kind: "listening"; port: number }
  | ({ kind: "state"; id: number } & RelayState)
  | { kind: "problem"; text: string };

const program = fileURLToPath(new URL("relay-program.ts", import.meta.url));
const startTimeoutMs = 30_000;
const answerTimeoutMs = 20_000;

/** One process of a relay. */
export class RelayChild {
  readonly port: number;
  readonly #child: ChildProcess;
  #end: "not asked for" | "asked for" = "not asked for";
  /** Resolves with the exit code, or with the signal that ended the process. */
  readonly exited: Promise<number | NodeJS.Signals>;
  readonly #waiting = new Map<number, (state: RelayState) => void>();
  #lastId = 0;

  private constructor(child: ChildProcess, port: number, onProblem: (text: string) => void) {
    this.#child = child;
    this.port = port;
    this.exited = once(child, "exit").then(([code, signal]) => {
      if (this.#end === "not asked for") onProblem(`the relay ended by itself with ${code ?? signal}`);
      return code ?? signal;
    });
    child.on("message", (answer: RelayAnswer) => {
      if (answer.kind === "problem") onProblem(answer.text);
      if (answer.kind === "state") this.#waiting.get(answer.id)?.(answer);
    });
  }

  /** Rejects if the process ends before it listens. */
  static async start(order: RelayOrder, onProblem: (text: string) => void): Promise<RelayChild> {
    const execArgv = ["--expose-gc", "--max-semi-space-size=1", "--disable-warning=ExperimentalWarning"];
    const child = fork(program, [JSON.stringify(order)], { execArgv, stdio: ["ignore", "inherit", "pipe", "ipc"] });
    let errors = "";
    child.stderr?.setEncoding("utf8").on("data", (text: string) => {
      errors += text;
    });
    const starting = new AbortController();
    const { signal } = starting;
    const deadline = setTimeout(() => starting.abort(), startTimeoutMs);
    const ended = once(child, "exit", { signal }).then(() => Promise.reject(new Error(`no relay: ${errors}`)));
    ended.catch(() => {});
    const [listening] = await Promise.race([once(child, "message", { signal }), ended]).finally(() =>
      clearTimeout(deadline),
    );
    child.stderr?.on("data", (text: string) => onProblem(`the relay says: ${text.trim()}`));
    return new RelayChild(child, (listening as { port: number }).port, onProblem);
  }

  get isAlive(): boolean {
    return this.#child.exitCode === null && this.#child.signalCode === null;
  }

  /** Rejects if the process does not answer. */
  state(collects = false): Promise<RelayState> {
    const id = ++this.#lastId;
    return new Promise((resolve, reject) => {
      const settle = (act: () => void) => {
        clearTimeout(deadline);
        this.#waiting.delete(id);
        act();
      };
      const deadline = setTimeout(() => settle(() => reject(new Error("the relay does not answer"))), answerTimeoutMs);
      this.#waiting.set(id, (state) => settle(() => resolve(state)));
      this.#child.send({ id, collects } satisfies RelayQuestion);
    });
  }

  /**
   * Does nothing to a process that has ended. `ChildProcess.kill` could send the signal to this process and its group
   * when the exit of the child is known to the event loop and not told yet, because its number is 0 then.
   */
  signal(signal: NodeJS.Signals): void {
    try {
      if (this.isAlive && this.#child.pid !== undefined) process.kill(this.#child.pid, signal);
    } catch (error) {
      if ((error as NodeJS.ErrnoException).code !== "ESRCH") throw error;
    }
  }

  async end(signal: NodeJS.Signals): Promise<number | NodeJS.Signals> {
    this.#end = "asked for";
    this.signal(signal);
    return this.exited;
  }
}
