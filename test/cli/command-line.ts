import { type ChildProcessByStdio, spawn } from "node:child_process";
import { once } from "node:events";
import type { Readable, Writable } from "node:stream";
import { buffer } from "node:stream/consumers";
import { fileURLToPath } from "node:url";
import { onTestFinished } from "vitest";

export const mainPath = fileURLToPath(new URL("../../dist/cli/main.js", import.meta.url));

/** The command, as it runs. */
export class CommandLine {
  readonly child: ChildProcessByStdio<Writable, Readable, Readable>;
  readonly #exited: Promise<number | null>;
  readonly #printed: string[] = [];
  #onPrinted = () => {};

  constructor(args: readonly string[], environment: Record<string, string> = {}) {
    this.child = spawn(process.execPath, [mainPath, ...args], { env: { ...process.env, ...environment } });
    // A command that ends leaves its input unread.
    this.child.stdin.on("error", () => {});
    this.#exited = once(this.child, "close").then(([code]) => code as number | null);
    this.child.stderr.setEncoding("utf8").on("data", (text: string) => {
      this.#printed.push(text);
      this.#onPrinted();
    });
    onTestFinished(async () => {
      this.child.kill("SIGKILL");
      this.child.stdout.resume();
      await this.#exited;
    });
  }

  /** The whole lines on standard error so far. */
  get errorLines(): string[] {
    return this.#printed.join("").split("\n").slice(0, -1);
  }

  /** Resolves when standard error has so many lines. */
  async hasSaid(lines = 1): Promise<string> {
    while (this.errorLines.length < lines) {
      await Promise.race([
        new Promise<void>((resolve) => {
          this.#onPrinted = resolve;
        }),
        this.#exited.then((code) => {
          if (this.errorLines.length < lines) throw new Error(`ended with ${code}: ${this.errorLines.join("\n")}`);
        }),
      ]);
    }
    return this.errorLines[lines - 1] ?? "";
  }

  /** Reads standard output to its end. */
  output(): Promise<Buffer> {
    return buffer(this.child.stdout);
  }

  /** Resolves with the exit code. Standard output must be read by somebody. */
  get exitCode(): Promise<number | null> {
    return this.#exited;
  }

  /** Runs the command to its end, without input. */
  async run(): Promise<{ code: number | null; output: string; errorLines: string[] }> {
    this.child.stdin.end();
    const [output, code] = await Promise.all([this.output(), this.exitCode]);
    return { code, output: output.toString(), errorLines: this.errorLines };
  }
}
