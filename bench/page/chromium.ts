import { type ChildProcess, spawn } from "node:child_process";
import { once } from "node:events";
import { existsSync } from "node:fs";
import { mkdtemp, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { delimiter, join } from "node:path";
import type { Readable, Writable } from "node:stream";

const names = ["chromium", "chromium-browser", "google-chrome", "google-chrome-stable", "chrome"];
const evaluateTimeoutMs = 60_000;

/** The path in the variable CHROMIUM, or else the first of the usual programs in the PATH. Undefined without one. */
export function findChromium(): string | undefined {
  if (process.env.CHROMIUM) return process.env.CHROMIUM;
  const folders = ["/usr/bin", ...(process.env.PATH ?? "").split(delimiter)];
  return folders.flatMap((folder) => names.map((name) => join(folder, name))).find((path) => existsSync(path));
}

export interface Tab {
  /**
   * Evaluates an expression in the page, and waits for it if it is a promise. Resolves with the value; rejects with the
   * error that the expression throws.
   */
  evaluate(expression: string): Promise<unknown>;
}

interface Waiting {
  resolve(result: Record<string, unknown>): void;
  reject(error: Error): void;
}

/**
 * Chromium, driven over the pipe of its DevTools protocol. When this process ends, the pipe closes and Chromium ends
 * too. The bench uses no library for this, because such libraries have Chromium report each message of a WebSocket to
 * them, which takes more time than the message itself. https://chromedevtools.github.io/devtools-protocol/
 */
export class Chromium {
  readonly #folder: string;
  readonly #exited: Promise<unknown>;
  readonly #commands: Writable;
  readonly #waiting = new Map<number, Waiting>();
  #lastId = 0;
  #rest = "";

  private constructor(child: ChildProcess, folder: string) {
    this.#folder = folder;
    this.#exited = once(child, "exit").finally(() => {
      for (const { reject } of this.#waiting.values()) reject(new Error("Chromium ended"));
    });
    this.#commands = child.stdio[3] as Writable;
    const replies = child.stdio[4] as Readable;
    replies.setEncoding("utf8").on("data", (text: string) => this.#receive(text));
  }

  /** Rejects if the program cannot be started. The caller must close it. */
  static async launch(program: string): Promise<Chromium> {
    const folder = await mkdtemp(join(tmpdir(), "bench-chromium-"));
    const args = ["--headless", "--no-sandbox", "--disable-gpu", "--no-first-run", "--disable-sync"];
    args.push("--disable-background-networking", "--disable-component-update", `--user-data-dir=${folder}`);
    args.push("--remote-debugging-pipe", "about:blank");
    const child = spawn(program, args, { stdio: ["ignore", "ignore", "ignore", "pipe", "pipe"] });
    try {
      await once(child, "spawn");
    } catch (error) {
      await rm(folder, { recursive: true });
      throw error;
    }
    return new Chromium(child, folder);
  }

  /** Opens a tab in a window of its own, because Chromium slows down tabs that are behind others. */
  async openTab(url: string): Promise<Tab> {
    const { browserContextId } = await this.#call("Target.createBrowserContext", {});
    const { targetId } = await this.#call("Target.createTarget", { url, browserContextId, newWindow: true });
    const { sessionId } = await this.#call("Target.attachToTarget", { targetId, flatten: true });
    const evaluate = async (expression: string) => {
      const params = { expression, awaitPromise: true, returnByValue: true };
      const { result, exceptionDetails } = await this.#call("Runtime.evaluate", params, sessionId);
      const { exception } = (exceptionDetails ?? {}) as { exception?: { description?: string } };
      if (exceptionDetails !== undefined) throw new Error(exception?.description ?? "an exception in a page");
      return (result as { value?: unknown }).value;
    };
    // While the blank document is replaced by the page, evaluation fails.
    const isLoaded = () => evaluate(`document.readyState === "complete" && globalThis.tab !== undefined`);
    while (!(await isLoaded().catch(() => false)));
    return { evaluate };
  }

  async close(): Promise<void> {
    await this.#call("Browser.close", {}).catch(() => {});
    await this.#exited;
    await rm(this.#folder, { recursive: true, force: true, maxRetries: 5 });
  }

  #call(method: string, params: object, sessionId?: unknown): Promise<Record<string, unknown>> {
    const id = ++this.#lastId;
    return new Promise((resolve, reject) => {
      const timeout = setTimeout(
        () => reject(new Error(`Chromium did not answer ${method} in time`)),
        evaluateTimeoutMs,
      );
      const settle =
        <T>(how: (value: T) => void) =>
        (value: T) => {
          clearTimeout(timeout);
          this.#waiting.delete(id);
          how(value);
        };
      this.#waiting.set(id, { resolve: settle(resolve), reject: settle(reject) });
      this.#commands.write(`${JSON.stringify({ id, method, params, sessionId })}\0`);
    });
  }

  /** Takes text from the pipe, in which each message ends with a zero byte. */
  #receive(text: string): void {
    const messages = `${this.#rest}${text}`.split("\0");
    this.#rest = messages.pop() ?? "";
    for (const message of messages) {
      const { id, result, error } = JSON.parse(message);
      if (error === undefined) this.#waiting.get(id)?.resolve(result);
      else this.#waiting.get(id)?.reject(new Error(error.message));
    }
  }
}
