import type { HttpContenderEntry } from "../contenders.ts";
import type { Tab } from "../page/chromium.ts";
import { openStage, type Stage } from "../page/stage.ts";
import { downloadPath } from "../traffic/http-handler.ts";
import { Party } from "./party.ts";
import { runProgram } from "./program.ts";

/** The name that the server of a trio has at the relay. */
const steadyName = "steady";
/** A tenth of this is enough for 256 MiB on two cores. */
const maxDownloadS = "60";

/**
 * Relay, server and caller of a contender of HTTP: three processes, or two and a tab. The caller of `start` must call
 * `stop`.
 */
export class HttpTrio {
  readonly contender: HttpContenderEntry;
  readonly relay: Party<"relay">;
  readonly caller: Party<"http-caller">;
  readonly #server: Party<"http-server"> | undefined;
  #stage: Promise<Stage> | undefined;
  #tab: Promise<Tab> | undefined;
  #port = 0;

  private constructor(contender: HttpContenderEntry) {
    this.contender = contender;
    // If one process ends, the calls of all of them fail, with the reason of the first.
    const onEnded = (error: Error) => {
      for (const party of [this.relay, this.caller, this.#server]) party?.fail(error);
    };
    this.relay = new Party("relay", contender, onEnded);
    this.caller = new Party("http-caller", contender, onEnded);
    this.#server = contender.isInTab ? undefined : new Party("http-server", contender, onEnded);
  }

  /** Starts relay, server and caller, and has the server answer behind one name. */
  static async start(contender: HttpContenderEntry): Promise<HttpTrio> {
    const trio = new HttpTrio(contender);
    try {
      trio.#port = await trio.relay.call.serve();
      await trio.answer([steadyName]);
      return trio;
    } catch (error) {
      await trio.stop();
      throw error;
    }
  }

  /** Has the server answer behind more names. */
  async answer(names: readonly string[]): Promise<void> {
    if (this.#server !== undefined) return this.#server.call.answer(this.#port, names);
    const args = [this.contender.name, this.#port, names].map((arg) => JSON.stringify(arg)).join(", ");
    this.#tab ??= this.#openTab();
    await (await this.#tab).evaluate(`tab.answer(${args})`);
  }

  /** The URL of a name, or of a path below it. Throws for streams, which have none. */
  url(path = "", name: string = steadyName): string {
    if (this.contender.path === undefined) throw new Error(`${this.contender.name} has no URL`);
    return `http://127.0.0.1:${this.#port}${this.contender.path(name)}${path}`;
  }

  /** Downloads by `curl`, or as a client of streams where there is no URL. Rejects unless all bytes came. */
  async download(bytes: number): Promise<void> {
    const hasUrl = this.contender.path !== undefined;
    const came = hasUrl ? await curl(this.url(downloadPath(bytes))) : await this.#downloadStream(bytes);
    if (came !== bytes) throw new Error(`${came} of ${bytes} bytes came`);
  }

  #downloadStream(bytes: number): Promise<number> {
    return this.caller.call.download(this.#port, steadyName, bytes);
  }

  async stop(): Promise<void> {
    const closed = this.#stage?.then(
      (stage) => stage.close(),
      () => {},
    );
    await Promise.all([this.relay.stop(), this.caller.stop(), this.#server?.stop(), closed]);
  }

  async #openTab(): Promise<Tab> {
    this.#stage = openStage();
    const { chromium, origin } = await this.#stage;
    return chromium.openTab(origin);
  }
}

/** Resolves with the bytes that came. */
async function curl(url: string): Promise<number> {
  const quiet = ["--silent", "--show-error", "--fail", "--max-time", maxDownloadS];
  const counted = ["--output", "/dev/null", "--write-out", "%{size_download}"];
  return Number(await runProgram("curl", [...quiet, ...counted, url]));
}
