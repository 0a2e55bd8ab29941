import { once } from "node:events";
import { mkdir, mkdtemp, rm, writeFile } from "node:fs/promises";
import { createServer } from "node:net";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { type RelayProcess, startRelay } from "../../relay-process.ts";
import { Random } from "../random.ts";

/** Below the ports that the system gives to connections, so that none of them can be on it when the relay is back. */
const [minPort, maxPort] = [20_000, 30_000];

/** `bss serve` on one port, with one key file, one process after the other. */
export class BssRelay {
  readonly port: number;
  readonly #folder: string;
  readonly #args: string[];
  #process: RelayProcess | undefined;

  private constructor(port: number, folder: string, args: string[]) {
    this.port = port;
    this.#folder = folder;
    this.#args = args;
  }

  /** Without `hasKey`, each process has a key of its own. The caller must close the relay. */
  static async start({ hasKey = true, drainTimeoutMs = 10_000, moreArgs = [] as string[] } = {}): Promise<BssRelay> {
    const folder = await mkdtemp(join(tmpdir(), "bss-chaos-"));
    const port = await freePort();
    // Browsers get a page that does nothing, also where the engines look for one.
    await mkdir(join(folder, "blank-page"));
    for (const path of ["index.html", "blank-page/index.html"]) {
      await writeFile(join(folder, path), `<!doctype html><link rel="icon" href="data:,">`);
    }
    const args = ["--host", "127.0.0.1", "--port", String(port), "--drain-timeout-ms", String(drainTimeoutMs)];
    args.push("--page", folder, ...moreArgs);
    if (hasKey) args.push("--key-file", join(folder, "relay.keys"));
    const relay = new BssRelay(port, folder, args);
    await relay.restart();
    return relay;
  }

  get origin(): string {
    return `http://127.0.0.1:${this.port}`;
  }

  /** Starts the process. */
  async restart(): Promise<void> {
    this.#process = await startRelay(...this.#args);
  }

  /** Ends the process with a signal, and resolves with its exit code, or null, and with how long that took. */
  async end(signal: NodeJS.Signals): Promise<{ code: number | null; ms: number }> {
    const child = this.#process?.child;
    this.#process = undefined;
    if (child === undefined) throw new Error("the relay does not run");
    const startMs = performance.now();
    const exited = once(child, "exit");
    child.kill(signal);
    const [code] = (await exited) as [number | null];
    return { code, ms: performance.now() - startMs };
  }

  async close(): Promise<void> {
    if (this.#process !== undefined) await this.end("SIGKILL");
    await rm(this.#folder, { recursive: true, force: true });
  }
}

async function freePort(): Promise<number> {
  const random = new Random(process.pid + Math.floor(performance.now() * 1_000));
  for (;;) {
    const port = random.whole(minPort, maxPort);
    const server = createServer();
    const isFree = await new Promise<boolean>((resolve) => {
      server.once("error", () => resolve(false)).listen(port, "127.0.0.1", () => resolve(true));
    });
    await new Promise((resolve) => server.close(resolve));
    if (isFree) return port;
  }
}
