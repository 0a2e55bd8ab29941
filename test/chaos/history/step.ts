/** The two parties of a stream, each with a network of its own. */
export type Party = "client" | "listener";

/** What can be done to the connections of a party at once. */
export const cutKinds = ["fin", "rst", "half-near", "half-far", "ghost"] as const;
export type CutKind = (typeof cutKinds)[number];

/** States of a party's network that last a while. */
export const spellKinds = ["away", "stall", "hole", "slow", "narrow"] as const;
export type SpellKind = (typeof spellKinds)[number];

/** What can happen to the relay's process. */
export const relayFaults = ["kill", "freeze", "drain", "roll"] as const;
export type RelayFault = (typeof relayFaults)[number];

/**
 * A step of a history. Steps follow one another without waiting for their effects; `opened` and `wait` alone take time.
 * A spell and a fault of the relay go on beside the steps that follow.
 *
 * - `open`: the client connects to the name. `opened` waits until the listener has accepted, or the stream has failed.
 * - `write`: a party writes `count` messages of `bytes` each.
 * - `end`, `reset`, `pause`, `resume`: a party ends its direction, destroys the stream, stops reading, goes on reading.
 * - `cut`: ends the party's connections. `fin` and `rst` end both sides of each; `half-near` and `half-far` half-close
 *   the side of the party or of the relay; `ghost` resets the side of the party, and the relay's stays.
 * - `spell`: for a time, `away` refuses connections, `stall` holds all bytes back, `hole` loses all bytes and those
 *   connections for good, `slow` delays each byte by 40 ms, and `narrow` passes 64 KiB a second.
 * - `relay`: `kill` and `drain` end the process and start it again after a time, `freeze` stops it for a time, and
 *   `roll` starts another process, to which new connections lead, and drains the old one.
 * - `claim`: a stranger claims the name, which must be refused while the listener holds it.
 */
export type Step =
  | { kind: "open" | "opened"; stream: number }
  | { kind: "write"; stream: number; party: Party; count: number; bytes: number; text: boolean }
  | { kind: "end" | "reset" | "pause" | "resume"; stream: number; party: Party }
  | { kind: "wait"; ms: number }
  | { kind: "cut"; party: Party; how: CutKind }
  | { kind: "spell"; party: Party; how: SpellKind; ms: number }
  | { kind: "relay"; how: RelayFault; ms: number }
  | { kind: "claim" };

/** The text of a step, which `parseStep` reads. */
export function stepText(step: Step): string {
  switch (step.kind) {
    case "open":
    case "opened":
      return `${step.kind} ${step.stream}`;
    case "write":
      return `write ${step.stream} ${step.party} ${step.count}x${step.bytes}${step.text ? "t" : "b"}`;
    case "end":
    case "reset":
    case "pause":
    case "resume":
      return `${step.kind} ${step.stream} ${step.party}`;
    case "wait":
      return `wait ${step.ms}`;
    case "cut":
      return `cut ${step.party} ${step.how}`;
    case "spell":
      return `${step.how} ${step.party} ${step.ms}`;
    case "relay":
      return `${step.how} ${step.ms}`;
    case "claim":
      return "claim";
  }
}

/** Throws for a text that is no step. */
export function parseStep(text: string): Step {
  const [word = "", ...rest] = text.trim().split(/\s+/);
  const number = (at: number) => wholeNumber(rest[at], text);
  switch (word) {
    case "open":
    case "opened":
      return { kind: word, stream: number(0) };
    case "write": {
      const [, count, bytes, type] = /^(\d+)x(\d+)([tb])$/.exec(rest[2] ?? "") ?? [];
      const size = { count: wholeNumber(count, text), bytes: wholeNumber(bytes, text), text: type === "t" };
      return { kind: "write", stream: number(0), party: partyOf(rest[1], text), ...size };
    }
    case "end":
    case "reset":
    case "pause":
    case "resume":
      return { kind: word, stream: number(0), party: partyOf(rest[1], text) };
    case "wait":
      return { kind: "wait", ms: number(0) };
    case "cut": {
      const how = cutKinds.find((kind) => kind === rest[1]);
      if (how === undefined) throw new Error(`no such cut: ${text}`);
      return { kind: "cut", party: partyOf(rest[0], text), how };
    }
    case "claim":
      return { kind: "claim" };
  }
  const spell = spellKinds.find((kind) => kind === word);
  if (spell !== undefined) return { kind: "spell", party: partyOf(rest[0], text), how: spell, ms: number(1) };
  const fault = relayFaults.find((kind) => kind === word);
  if (fault !== undefined) return { kind: "relay", how: fault, ms: number(0) };
  throw new Error(`no such step: ${text}`);
}

function partyOf(word: string | undefined, text: string): Party {
  if (word === "client" || word === "listener") return word;
  throw new Error(`no party: ${text}`);
}

function wholeNumber(word: string | undefined, text: string): number {
  if (word === undefined || !/^\d+$/.test(word)) throw new Error(`a number is missing: ${text}`);
  return Number(word);
}
