import { type ChildProcess, fork } from "node:child_process";
import { once } from "node:events";
import { fileURLToPath } from "node:url";

const startTimeoutMs = 30_000;
const answerTimeoutMs = 30_000;

/** A program of this folder in a process of its own, which answers questions. */
export class ProgramProcess<Question extends object, Answer> {
  readonly #child: ChildProcess;
  readonly #exited: Promise<unknown>;
  readonly #waiting = new Map<number, (answer: Answer) => void>();
  #lastId = 0;

  private constructor(child: ChildProcess) {
    this.#child = child;
    this.#exited = once(child, "exit");
    child.on("message", ({ id, answer }: { id: number; answer: Answer }) => this.#waiting.get(id)?.(answer));
  }

  /** Resolves with the process and the first message that it says. Rejects if the process ends before it says one. */
  static async start<Question extends object, Answer, First>(
    program: string,
    order: object,
    execArgv: readonly string[] = [],
  ): Promise<[ProgramProcess<Question, Answer>, First]> {
    const path = fileURLToPath(new URL(program, import.meta.url));
    const child = fork(path, [JSON.stringify(order)], {
      // The bystander knows no authority that has signed the relay's certificate.
      env: { ...process.env, NODE_TLS_REJECT_UNAUTHORIZED: "0" },
      execArgv: ["--no-warnings", ...execArgv],
      stdio: ["ignore", "ignore", "inherit", "ipc"],
    });
    const starting = AbortSignal.timeout(startTimeoutMs);
    const ended = once(child, "exit", { signal: starting }).then(() => Promise.reject(new Error(`${program} ended`)));
    const [first] = (await Promise.race([once(child, "message", { signal: starting }), ended])) as [First];
    ended.catch(() => {});
    return [new ProgramProcess(child), first];
  }

  get pid(): number {
    return this.#child.pid ?? 0;
  }

  /** Rejects if the process does not answer in time. */
  ask(question: Question): Promise<Answer> {
    this.#lastId += 1;
    const id = this.#lastId;
    return new Promise((resolve, reject) => {
      const settle = (act: () => void) => {
        clearTimeout(deadline);
        this.#waiting.delete(id);
        act();
      };
      const deadline = setTimeout(
        () => settle(() => reject(new Error(`the process did not answer within ${answerTimeoutMs} ms`))),
        answerTimeoutMs,
      );
      this.#waiting.set(id, (answer) => settle(() => resolve(answer)));
      this.#child.send({ id, question });
    });
  }

  async end(): Promise<void> {
    this.#child.kill("SIGKILL");
    await this.#exited;
  }
}

/** Answers the questions that the parent of this process asks, and ends this process with the parent. */
export function answerParent<Question, Answer>(answer: (question: Question) => Answer | Promise<Answer>): void {
  process.on("message", async ({ id, question }: { id: number; question: Question }) => {
    process.send?.({ id, answer: await answer(question) });
  });
  process.on("disconnect", () => process.exit());
}
