import type { CallersOrder, CallersResult } from "../traffic/http-calls.ts";
import type { PairingsResult } from "../traffic/pairings.ts";
import type { FlowOrder, FlowResult } from "../traffic/question.ts";

/** The calls that each process answers. */
export interface PartyCalls {
  /** The CPU time of the process since its start, in ms. */
  cpuMs(): number;
  settledMemory(): Promise<SettledMemory>;
}

export interface RelayCalls extends PartyCalls {
  /** Resolves with the port. */
  serve(): Promise<number>;
  /** Starts to look at the resident memory, every 10 ms. */
  watchMemory(): void;
  /** Stops, and returns the most that was seen. */
  maxResidentBytes(): number;
}

/** Memory after garbage collections, once it no longer changes. */
export interface SettledMemory {
  /** The resident memory of the process. It includes freed memory that is kept for later. */
  residentBytes: number;
  /** The memory that JavaScript holds: objects and buffers. */
  heldBytes: number;
}

/** The layout of numbered names, or of streams, on connections. */
export interface ConnectionLayout {
  /** The part of the names before their numbers. */
  name: string;
  count: number;
  firstConnection: number;
  perConnection: number;
}

export interface ListenerCalls extends PartyCalls {
  /** Claims names, numbered from `firstConnection` on, and answers their streams. */
  listen(port: number, names: ConnectionLayout): Promise<void>;
}

export interface ClientCalls extends PartyCalls {
  /**
   * Opens streams and keeps them as a group. Those on a connection lead to the name with the connection's number.
   * Resolves with the number of the group.
   */
  open(port: number, streams: ConnectionLayout): Promise<number>;
  /** Closes the streams of a group. Resolves when all of them are over. */
  close(group: number): Promise<void>;
  /** Runs a flow on each stream of a group, all at the same time. */
  flow(group: number, order: FlowOrder): Promise<FlowResult[]>;
  /** Sends pings on each stream of a group, all at the same time. Resolves with the times of all pings, in ms. */
  pings(group: number, durationMs: number): Promise<number[]>;
  /** Opens and closes streams, `atOnce` of them at the same time. */
  pairings(port: number, name: string, atOnce: number, durationMs: number): Promise<PairingsResult>;
  /**
   * Has the listener stop reading each stream of a group, and writes until there is no room. Resolves with the number
   * of bytes that the streams took.
   */
  fill(group: number, messageBytes: number, maxBytesPerStream: number): Promise<number>;
}

export interface HttpServerCalls extends PartyCalls {
  /** Answers requests of HTTP behind names. */
  answer(port: number, names: readonly string[]): Promise<void>;
}

export interface HttpCallerCalls extends PartyCalls {
  /** Downloads from a name as a client of streams. Resolves with the bytes that came. */
  download(port: number, name: string, bytes: number): Promise<number>;
  /** Reads server-sent events. Resolves with the delay of each, in ms. */
  readEvents(url: string): Promise<number[]>;
  /** Has many callers call. */
  callAll(order: CallersOrder): Promise<CallersResult>;
}

export interface Roles {
  relay: RelayCalls;
  listener: ListenerCalls;
  client: ClientCalls;
  "http-server": HttpServerCalls;
  "http-caller": HttpCallerCalls;
}

export type Role = keyof Roles;

/** This call ends the process, and so has no answer. */
export const exitMethod = "exit";

export interface CallMessage {
  id: number;
  method: string;
  args: unknown[];
}

export type ResultMessage = { id: number; value: unknown } | { id: number; error: string };
