import type { PairingsResult } from "../traffic/pairings.ts";
import type { FlowOrder, FlowResult } from "../traffic/question.ts";

/** What a process has used since it began, and what it holds. */
export interface Usage {
  cpuMs: number;
  residentBytes: number;
}

/** What each of the three processes can be asked. */
export interface PartyCalls {
  usage(): Usage;
  /** Collects garbage first, and waits until the memory stays as it is. */
  settledUsage(): Promise<Usage>;
}

export interface RelayCalls extends PartyCalls {
  /** Resolves with the port. */
  serve(): Promise<number>;
}

export interface Streams {
  name: string;
  /** How many, each on a connection of its own or on one of those before. */
  count: number;
  firstConnection: number;
  perConnection: number;
}

export interface ListenerCalls extends PartyCalls {
  /** Claims names, `name` and a number, on as many connections as that takes. The streams of each are answered. */
  listen(port: number, names: Streams): Promise<void>;
}

export interface ClientCalls extends PartyCalls {
  /** Opens streams to one name, and keeps them as a group under a number that it resolves with. */
  open(port: number, streams: Streams): Promise<number>;
  /** Closes the streams of a group. Resolves when all are over. */
  close(group: number): Promise<void>;
  /** A flow on each stream of a group at once. */
  flow(group: number, order: FlowOrder): Promise<FlowResult[]>;
  /** Pings on each stream of a group at once, for a while; the times of all, in ms. */
  pings(group: number, durationMs: number): Promise<number[]>;
  pairings(port: number, name: string, atOnce: number, durationMs: number): Promise<PairingsResult>;
  /** Has the listener stop reading each stream of a group, and writes until there is no room. Resolves with what was taken. */
  fill(group: number, messageBytes: number, maxBytesPerStream: number): Promise<number>;
}

export interface Roles {
  relay: RelayCalls;
  listener: ListenerCalls;
  client: ClientCalls;
}

export type Role = keyof Roles;

export interface CallMessage {
  id: number;
  method: string;
  args: unknown[];
}

export type ResultMessage = { id: number; value: unknown } | { id: number; error: string };
