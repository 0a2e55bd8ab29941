import { type Carrier, carriers, type NetworkCarrier, networkCarriers } from "../carriers.ts";
import { graceMs, heartbeatIntervalMs } from "../limits.ts";
import { Random } from "../random.ts";
import { cutKinds, type Party, parseStep, relayFaults, type Step, spellKinds, stepText } from "./step.ts";

/** All that is down adds up to at most so much, so that every stream can survive: endpoints try again ever later. */
const maxOutageMs = 2_400;
/** The share of histories in which a network is away for longer than the grace period. */
const longPart = 0.02;

/** The share of streams that get the time to be opened. */
const openedPart = 0.8;

/** What happens to a few streams and the networks and the relay under them. */
export interface History {
  client: Carrier;
  listener: NetworkCarrier;
  steps: readonly Step[];
}

/** The text of a history, which `parseHistory` reads. */
export function historyText({ client, listener, steps }: History): string {
  return `${client}/${listener}: ${steps.map(stepText).join("; ")}`;
}

/** Throws for a text that is no history. */
export function parseHistory(text: string): History {
  const [, client, listener, steps = ""] = /^\s*(\w+)\/(\w+):(.*)$/s.exec(text) ?? [];
  const known = {
    client: carriers.find((carrier) => carrier === client),
    listener: networkCarriers.find((carrier) => carrier === listener),
  };
  if (known.client === undefined || known.listener === undefined) throw new Error(`no such carriers: ${text}`);
  const texts = steps.split(";").filter((step) => step.trim() !== "");
  return { client: known.client, listener: known.listener, steps: texts.map(parseStep) };
}

/** For how long the steps can keep an endpoint from its relay, together, at most. */
export function outageMs({ steps }: History): number {
  return steps.reduce((sum, step) => sum + outageOf(step), 0);
}

/** Whether every stream that was opened has to survive the history. */
export function isSurvivable(history: History): boolean {
  return outageMs(history) <= maxOutageMs;
}

/** Whether the steps do something to the relay, so that the history needs a relay of its own. */
export function hasRelayFault({ steps }: History): boolean {
  return steps.some(({ kind }) => kind === "relay");
}

/** The time until a lost connection is noticed. */
const noticeMs = 2.5 * heartbeatIntervalMs;

function outageOf(step: Step): number {
  if (step.kind === "relay") return step.ms;
  if (step.kind !== "spell" || step.how === "slow" || step.how === "narrow") return 0;
  return step.how === "hole" ? step.ms + noticeMs : step.ms;
}

/** A history of at least one stream that is opened, written to and cut; the same seed makes the same history. */
export function randomHistory(seed: number, carrier: Carrier): History {
  const random = new Random(seed);
  const other = random.pick(networkCarriers);
  const isClient = carrier === "local" || random.chance(0.5);
  const client = isClient ? carrier : other;
  const listener = isClient ? other : (carrier as NetworkCarrier);
  const steps = new StepSource(random, client === "local").steps(random.whole(8, 28));
  if (random.chance(longPart)) {
    const party = client === "local" ? "listener" : random.pick(["client", "listener"] as const);
    steps.push({ kind: "spell", party, how: "away", ms: graceMs + 3_000 });
  }
  return { client, listener, steps };
}

/** Draws steps that make sense one after the other. */
class StepSource {
  readonly #random: Random;
  /** Whether the client lives in the relay's process, which therefore stays as it is. */
  readonly #isLocal: boolean;
  readonly #ended: Set<Party>[] = [];
  #leftMs = maxOutageMs;

  constructor(random: Random, isLocal: boolean) {
    this.#random = random;
    this.#isLocal = isLocal;
  }

  steps(count: number): Step[] {
    const steps = [this.#open()];
    while (steps.length < count) {
      // Most streams are open before something happens to them.
      const last = steps.at(-1);
      if (last?.kind === "open" && this.#random.chance(openedPart)) steps.push({ kind: "opened", stream: last.stream });
      const step = this.#step();
      if (step !== undefined) steps.push(step);
    }
    return steps;
  }

  #step(): Step | undefined {
    return this.#random.weighted<() => Step | undefined>([
      [this.#ended.length < 4 ? 1 : 0, () => this.#open()],
      [10, () => this.#write()],
      [6, () => ({ kind: "wait", ms: this.#random.whole(0, 120) })],
      [1, () => this.#end()],
      [0.3, () => ({ kind: "reset", ...this.#place() })],
      [0.7, () => ({ kind: "pause", ...this.#place() })],
      [1, () => ({ kind: "resume", ...this.#place() })],
      [4, () => ({ kind: "cut", party: this.#party(), how: this.#random.pick(cutKinds) })],
      [2, () => this.#spell()],
      [this.#isLocal ? 0 : 0.35, () => this.#relayFault()],
      [0.3, () => ({ kind: "claim" })],
    ])();
  }

  #open(): Step {
    this.#ended.push(new Set());
    return { kind: "open", stream: this.#ended.length - 1 };
  }

  #write(): Step | undefined {
    const { stream, party } = this.#place();
    if (this.#ended[stream]?.has(party)) return undefined;
    const [count, bytes] = this.#random.weighted<() => [number, number]>([
      [1, () => [this.#random.whole(1, 3), 0]],
      [4, () => [this.#random.whole(1, 20), this.#random.whole(1, 200)]],
      [3, () => [this.#random.whole(1, 10), this.#random.whole(1_000, 20_000)]],
      [2, () => [this.#random.whole(1, 3), this.#random.whole(60_000, 300_000)]],
      [0.5, () => [1, this.#random.whole(700_000, 1_400_000)]],
    ])();
    return { kind: "write", stream, party, count, bytes, text: this.#random.chance(0.4) };
  }

  #end(): Step | undefined {
    const { stream, party } = this.#place();
    this.#ended[stream]?.add(party);
    return { kind: "end", stream, party };
  }

  #spell(): Step | undefined {
    const how = this.#random.pick(spellKinds);
    const step: Step = { kind: "spell", party: this.#party(), how, ms: this.#random.whole(20, 700) };
    return this.#isAffordable(step) ? step : undefined;
  }

  #relayFault(): Step | undefined {
    const step: Step = { kind: "relay", how: this.#random.pick(relayFaults), ms: this.#random.whole(20, 600) };
    return this.#isAffordable(step) ? step : undefined;
  }

  #isAffordable(step: Step): boolean {
    const cost = outageOf(step);
    if (cost > this.#leftMs) return false;
    this.#leftMs -= cost;
    return true;
  }

  #party(): Party {
    return this.#isLocal ? "listener" : this.#random.pick(["client", "listener"] as const);
  }

  /** A stream and one of its parties, of any carrier. */
  #place(): { stream: number; party: Party } {
    return {
      stream: this.#random.whole(0, this.#ended.length - 1),
      party: this.#random.pick(["client", "listener"] as const),
    };
  }
}
