import type { ServerKind, ServerProcess } from "./programs/server-process.ts";

/** The server to attack. */
export interface Target {
  port: number;
  /** Whether the port speaks TLS. */
  isSecure: boolean;
  /** The time after which an attack gives up that is not cut off. */
  giveUpMs: number;
  server: ServerProcess;
  /** The first seed of an attack with random parts. Default: one that is always the same. */
  seed?: number | undefined;
}

/** How an attack ended. */
export type Outcome =
  /** The connections were closed so long after the first byte of the attack. */
  | { kind: "cut off"; afterMs: number }
  /** Each request was answered with an error; the words say which. */
  | { kind: "refused"; answer: string }
  /** The server took all of it, and went on. The note is for the report; problems are what did not go as it has to. */
  | { kind: "endured"; note?: string; problems?: readonly string[] };

/** The most that an attack may do to the server, and to others. */
export interface Bounds {
  /** Time until the attacker is cut off, or has been answered. */
  cutOffMs: number;
  /** Growth of the resident memory at its peak. */
  peakBytes: number;
  /** Growth of the memory in use when the attack is over, without garbage. Undefined: it is not looked at. */
  heldBytes?: number;
  /** 99 of 100 round trips of another caller take no longer. */
  roundTripMs: number;
  /** The longest turn of the server's event loop. */
  turnMs: number;
}

/** The attack as the gate plays it, within seconds, and as the report does. */
export type Extent = "short" | "long";

export interface Attack {
  name: string;
  /** One sentence that says what the attacker does. */
  about: string;
  /** The server of Node's that the same is tried on for comparison. Undefined if it has nothing to attack. */
  bare: ServerKind | undefined;
  /** How often the attacker does it, in the gate and in the report. */
  amount: Record<Extent, number>;
  /** The outcome that the attack has to have. */
  expected: Outcome["kind"];
  bounds: Bounds;
  run(target: Target, amount: number): Promise<Outcome>;
}

export const mebibyte = 1_048_576;
