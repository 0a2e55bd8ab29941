import { type ChildProcess, fork } from "node:child_process";
import { once } from "node:events";
import { fileURLToPath } from "node:url";
import type { ContenderEntry } from "../contenders.ts";
import { type CallMessage, exitMethod, type ResultMessage, type Role, type Roles } from "./calls.ts";

const program = fileURLToPath(new URL("main.ts", import.meta.url));
/** The longest call opens 10,000 streams. */
const callTimeoutMs = 90_000;
/** A process whose event loop is blocked never reads the call to end, and is killed after this time. */
const stopTimeoutMs = 5_000;
/** A failure's message quotes the beginning of the process's standard error. 2,000 characters contain a stack. */
const maxErrorChars = 2_000;

interface Waiting {
  resolve(value: unknown): void;
  reject(error: Error): void;
}

type Calls<R extends Role> = {
  [M in keyof Roles[R]]: Roles[R][M] extends (...args: infer A) => infer V
    ? (...args: A) => Promise<Awaited<V>>
    : never;
};

/** One of the three processes of a contender. */
export class Party<R extends Role> {
  readonly call: Calls<R>;
  readonly #child: ChildProcess;
  readonly #exited: Promise<unknown>;
  readonly #waiting = new Map<number, Waiting>();
  readonly #title: string;
  #lastId = 0;
  #errors = "";

  /** Starts the process. `onEnded` is called when the process has ended, also after `stop`. */
  constructor(role: R, { name, relayFlags }: ContenderEntry, onEnded: (error: Error) => void) {
    this.#title = `the ${role} of ${name}`;
    this.#child = fork(program, [role, name], {
      execArgv: role === "relay" ? [...relayFlags] : [],
      stdio: ["ignore", "ignore", "pipe", "ipc"],
    });
    this.#child.stderr?.on("data", (chunk) => {
      this.#errors = `${this.#errors}${chunk}`.slice(0, maxErrorChars);
    });
    this.#child.on("message", (result: ResultMessage) => this.#settle(result));
    this.#exited = once(this.#child, "close").then(() => onEnded(this.#endedError()));
    this.call = new Proxy({} as Calls<R>, {
      get: (_, method) => (typeof method === "string" ? (...args: unknown[]) => this.#call(method, args) : undefined),
    });
  }

  /** Rejects the calls that have not been answered yet. */
  fail(error: Error): void {
    for (const waiting of [...this.#waiting.values()]) waiting.reject(error);
  }

  /** Ends the process by its own `process.exit`, so that Node can write a CPU profile. Kills it after 5 s. */
  async stop(): Promise<void> {
    if (this.#child.connected) this.#child.send({ id: 0, method: exitMethod, args: [] } satisfies CallMessage);
    const timeout = setTimeout(() => this.#child.kill("SIGKILL"), stopTimeoutMs);
    await this.#exited;
    clearTimeout(timeout);
  }

  #call(method: string, args: unknown[]): Promise<unknown> {
    const id = ++this.#lastId;
    return new Promise((resolve, reject) => {
      const timeout = setTimeout(() => reject(this.#error(`did not finish ${method} in time`)), callTimeoutMs);
      const settle =
        <T>(how: (value: T) => void) =>
        (value: T) => {
          clearTimeout(timeout);
          this.#waiting.delete(id);
          how(value);
        };
      this.#waiting.set(id, { resolve: settle(resolve), reject: settle(reject) });
      if (this.#child.connected) this.#child.send({ id, method, args } satisfies CallMessage);
      else this.fail(this.#endedError());
    });
  }

  #settle(result: ResultMessage): void {
    const waiting = this.#waiting.get(result.id);
    if ("error" in result) waiting?.reject(this.#error(result.error));
    else waiting?.resolve(result.value);
  }

  #endedError(): Error {
    return this.#error(`ended\n${this.#errors}`);
  }

  #error(how: string): Error {
    return new Error(`${this.#title}: ${how}`.trim());
  }
}
