import { readFile, writeFile } from "node:fs/promises";
import type { RelayCounts, RelayLimits, RelayWarning } from "browser-stream-server/server";
import { ProgramProcess } from "./program-process.ts";

/** The target of an attack: the relay, or a server of Node's with its defaults. */
export type ServerKind = "relay" | "node:http" | "node:http2" | "ws";

export interface ServerOrder {
  kind: ServerKind;
  limits: Partial<RelayLimits> | undefined;
  /** Whether operators are served, and everybody is one. */
  servesAdmin: boolean;
  /** The secret of the tokens that callers need. Undefined: they need none. */
  secret: string | undefined;
  tls: { cert: string; key: string } | undefined;
}

export interface ServerQuestion {
  /** Whether garbage is collected before. */
  collects: boolean;
}

export interface ServerState {
  /** The counts of a relay. */
  counts: RelayCounts | undefined;
  /** The memory in use: objects, and buffers beside them. */
  heldBytes: number;
  /** The longest turn of the event loop since the last question. */
  longestTurnMs: number;
  /** The warnings since the last question. */
  warnings: RelayWarning["kind"][];
}

/** A server to attack, in a process of its own. */
export class ServerProcess {
  readonly port: number;
  readonly #process: ProgramProcess<ServerQuestion, ServerState>;

  private constructor(process: ProgramProcess<ServerQuestion, ServerState>, port: number) {
    this.#process = process;
    this.port = port;
  }

  static async start(order: ServerOrder): Promise<ServerProcess> {
    // As `npm start` runs the relay.
    const flags = ["--expose-gc", "--max-semi-space-size=1", "--max-old-space-size=768"];
    const [process, { port }] = await ProgramProcess.start<ServerQuestion, ServerState, { port: number }>(
      "relay-program.ts",
      order,
      flags,
    );
    return new ServerProcess(process, port);
  }

  /** The counts of the server; the longest turn and the warnings begin anew. */
  state(collects = false): Promise<ServerState> {
    return this.#process.ask({ collects });
  }

  /** The time that the process has computed, in steps of 10 ms. */
  async cpuMs(): Promise<number> {
    const stat = await readFile(`/proc/${this.#process.pid}/stat`, "utf8");
    // The fields behind the name, which may have spaces; see proc_pid_stat(5).
    const fields = stat.slice(stat.lastIndexOf(")") + 2).split(" ");
    return 10 * (Number(fields[11]) + Number(fields[12]));
  }

  /** Resident memory in bytes, now and at its highest since {@link forgetPeak}, as the kernel counts it. */
  async resident(): Promise<{ nowBytes: number; peakBytes: number }> {
    const status = await readFile(`/proc/${this.#process.pid}/status`, "utf8");
    const bytes = (field: string) => 1_024 * Number(new RegExp(`^${field}:\\s+(\\d+) kB$`, "m").exec(status)?.[1]);
    return { nowBytes: bytes("VmRSS"), peakBytes: bytes("VmHWM") };
  }

  /** Has the kernel find the peak of the resident memory anew. */
  async forgetPeak(): Promise<void> {
    // See proc_pid_clear_refs(5).
    await writeFile(`/proc/${this.#process.pid}/clear_refs`, "5");
  }

  async end(): Promise<void> {
    await this.#process.end();
  }
}
