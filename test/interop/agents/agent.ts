import { Output } from "./output.js";

/** The events of a running program. */
export interface ProgramEvents {
  stdout(chunk: Uint8Array): void;
  stderr(chunk: Uint8Array): void;
  /** Called after all output, with the exit code; null when a signal ended the program. */
  exit(code: number | null): void;
}

/** The controls of a running program, be it a process or a tab. */
export interface ProgramHandle {
  write(data: string | Uint8Array): void;
  endInput(): void;
  /** Interrupts the program, as Ctrl-C does. */
  interrupt(): void;
  /** Ends the program without a goodbye, as SIGKILL does. Does nothing to a program that is gone. */
  kill(): void;
}

export type StartProgram = (events: ProgramEvents) => Promise<ProgramHandle>;

/** A wait ends after this, where it is given no other. */
const defaultDeadlineMs = 30_000;

/** A listener or a client, watched from outside: what it is given, what it prints, how it ends. */
export class Agent {
  readonly title: string;
  readonly stdout = new Output();
  readonly stderr = new Output();
  readonly #watchers = new Set<() => void>();
  #handle: ProgramHandle | undefined;
  #linesTaken = 0;
  #exit: { code: number | null } | undefined;

  private constructor(title: string) {
    this.title = title;
  }

  static async start(title: string, start: StartProgram): Promise<Agent> {
    const agent = new Agent(title);
    agent.#handle = await start({
      stdout: (chunk) => agent.#tell(() => agent.stdout.push(chunk)),
      stderr: (chunk) => agent.#tell(() => agent.stderr.push(chunk)),
      exit: (code) =>
        agent.#tell(() => {
          agent.#exit ??= { code };
        }),
    });
    return agent;
  }

  write(data: string | Uint8Array): void {
    this.#handle?.write(data);
  }

  endInput(): void {
    this.#handle?.endInput();
  }

  interrupt(): void {
    this.#handle?.interrupt();
  }

  /** Ends it without a goodbye, if it still runs, and frees what it held. */
  async kill(): Promise<void> {
    this.#handle?.kill();
    await this.#waitFor("its end", () => this.#exit);
  }

  /** The next line on stdout that nobody has taken yet. */
  nextLine(what: string): Promise<string> {
    return this.#waitFor(what, () => {
      const line = this.stdout.lines[this.#linesTaken];
      if (line !== undefined) this.#linesTaken++;
      return line;
    });
  }

  /** Resolves when the program has printed so many bytes on stdout. */
  async hasPrinted(bytes: number): Promise<void> {
    await this.#waitFor(`${bytes} bytes`, () => (this.stdout.byteLength >= bytes ? true : undefined));
  }

  /** Expects this line as the program's next one. */
  async says(expected: string | RegExp): Promise<void> {
    const line = await this.nextLine(`the line ${expected}`);
    const matches = typeof expected === "string" ? line === expected : expected.test(line);
    if (!matches) throw this.#failure(`${this.title} said "${line}" instead of "${expected}"`);
  }

  /** Expects the program to end by itself, with this exit code. */
  async exits(expected: number, deadlineMs?: number): Promise<void> {
    const { code } = await this.#waitFor(`exit code ${expected}`, () => this.#exit, deadlineMs);
    if (code !== expected) throw this.#failure(`${this.title} ended with ${code} instead of ${expected}`);
  }

  /**
   * Expects the program to end with exit code 1 and a last line on stderr that begins with the code and the failure.
   * Resolves with the rest of the line.
   */
  async fails(code: string, failure: string, deadlineMs?: number): Promise<string> {
    await this.exits(1, deadlineMs);
    const words = `${code} FAILURE_${failure} `;
    const last = this.stderr.lines.at(-1) ?? "";
    if (!last.startsWith(words)) throw this.#failure(`${this.title} did not fail with ${words}`);
    return last.slice(words.length);
  }

  #tell(happen: () => void): void {
    happen();
    for (const check of [...this.#watchers]) check();
  }

  #waitFor<T>(what: string, look: () => T | undefined, deadlineMs = defaultDeadlineMs): Promise<T> {
    return new Promise((resolve, reject) => {
      const settle = (act: () => void) => {
        clearTimeout(timer);
        this.#watchers.delete(check);
        act();
      };
      const check = () => {
        const found = look();
        if (found !== undefined) return settle(() => resolve(found));
        if (this.#exit === undefined) return;
        const code = this.#exit.code;
        settle(() => reject(this.#failure(`${this.title} ended with ${code} instead of giving ${what}`)));
      };
      const timer = setTimeout(
        () => settle(() => reject(this.#failure(`waited ${deadlineMs / 1000} s for ${what} from ${this.title}`))),
        deadlineMs,
      );
      this.#watchers.add(check);
      check();
    });
  }

  #failure(problem: string): Error {
    return new Error(`${problem}\n  stdout: ${this.stdout}\n  stderr: ${this.stderr}`);
  }
}
