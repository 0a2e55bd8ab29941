import type { PairingsResult } from "../traffic/pairings.ts";
import type { FlowOrder, FlowResult } from "../traffic/question.ts";

/** The calls that each of the three processes answers. */
export interface PartyCalls {
  /** CPU time since it began, in ms. */
  cpuMs(): number;
  settledMemory(): Promise<SettledMemory>;
}

export interface RelayCalls extends PartyCalls {
  /** Resolves with the port. */
  serve(): Promise<number>;
}

/** Memory after garbage collection, when it stays as it is. */
export interface SettledMemory {
  /** The memory of the process, with memory that was freed and is kept for later. */
  residentBytes: number;
  /** The memory that JavaScript holds: objects and buffers. */
  heldBytes: number;
}

/** Names or streams, spread over as many connections as they take. */
export interface Spread {
  /** The beginning of the names, which end in a number. */
  name: string;
  count: number;
  firstConnection: number;
  perConnection: number;
}

export interface ListenerCalls extends PartyCalls {
  /** Claims names, whose numbers begin with that of the first connection. Their streams are answered. */
  listen(port: number, names: Spread): Promise<void>;
}

export interface ClientCalls extends PartyCalls {
  /**
   * Opens streams, on each connection to the name with its number, and keeps them as a group. Resolves with its number.
   */
  open(port: number, streams: Spread): Promise<number>;
  /** Closes the streams of a group. Resolves when all are over. */
  close(group: number): Promise<void>;
  /** A flow on each stream of a group at once. */
  flow(group: number, order: FlowOrder): Promise<FlowResult[]>;
  /** Pings on each stream of a group at once, for a while; the times of all, in ms. */
  pings(group: number, durationMs: number): Promise<number[]>;
  pairings(port: number, name: string, atOnce: number, durationMs: number): Promise<PairingsResult>;
  /**
   * Has the listener stop reading each stream of a group, and writes until there is no room. Resolves with what was
   * taken.
   */
  fill(group: number, messageBytes: number, maxBytesPerStream: number): Promise<number>;
}

export interface Roles {
  relay: RelayCalls;
  listener: ListenerCalls;
  client: ClientCalls;
}

export type Role = keyof Roles;

/** A call that has no answer: the process ends. */
export const exitMethod = "exit";

export interface CallMessage {
  id: number;
  method: string;
  args: unknown[];
}

export type ResultMessage = { id: number; value: unknown } | { id: number; error: string };
