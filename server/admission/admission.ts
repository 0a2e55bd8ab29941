import type { StreamError } from "../../stream/error/stream-error.js";
import { Condition } from "../../stream/platform/deferred.js";
import type { Caller } from "./caller.js";
import type { RelayLimits } from "./limits.js";
import { type Cap, capsOf, type Resource } from "./resource.js";
import type { Warnings } from "./warnings.js";

export interface AdmissionInit {
  limits: RelayLimits;
  /** Tells the operator when a limit is reached. */
  warnings: Warnings;
}

/** A resource that is counted. Whoever ends the resource releases it, once or more often. */
export interface Hold {
  release(): void;
}

/** The one door of the relay: everything that is limited is counted here, as long as it lives. */
export class Admission {
  readonly #limits: RelayLimits;
  readonly #warnings: Warnings;
  /** The number of resources of each kind. */
  readonly #kinds = new Map<string, number>();
  /** The counts under the keys of caps. */
  readonly #counts = new Map<string, number>();
  /** Notified when something is released. */
  readonly released = new Condition();

  constructor({ limits, warnings }: AdmissionInit) {
    this.#limits = limits;
    this.#warnings = warnings;
  }

  /** The number of resources of a kind. */
  count(kind: Resource["kind"]): number {
    return this.#kinds.get(kind) ?? 0;
  }

  /**
   * Counts a resource of a caller until it is released. `instead` is a hold whose place it takes, and which is released
   * if there is room. Throws FAILURE_LIMIT_REACHED.
   */
  hold(_caller: Caller, resource: Resource, instead?: Hold): Hold {
    const caps = capsOf(resource, this.#limits);
    const before = instead as CountedHold | undefined;
    for (const { key, amount, max, limit, message } of caps) {
      const counted = (this.#counts.get(key) ?? 0) - (before?.amountOf(key) ?? 0);
      if (counted + amount > max) throw this.full(limit, message());
    }
    before?.release();
    add(this.#kinds, resource.kind, 1);
    for (const { key, amount } of caps) add(this.#counts, key, amount);
    return new CountedHold(caps, () => {
      add(this.#kinds, resource.kind, -1);
      for (const { key, amount } of caps) add(this.#counts, key, -amount);
      this.released.notify();
    });
  }

  /** Warns that a limit is reached, and returns the error for the caller who met it, if one did. */
  full(limit: keyof RelayLimits, message: string): StreamError {
    return this.#warnings.limitReached(limit, message);
  }

  /** Warns that a caller is cut off which sends more than it can have any use for. */
  cutOff(message: string): void {
    this.#warnings.warn({ kind: "caller-cut-off" }, message);
  }
}

/** Adds to a count. A count of 0 takes no memory. */
function add(counts: Map<string, number>, key: string, amount: number): void {
  const count = (counts.get(key) ?? 0) + amount;
  if (count === 0) counts.delete(key);
  else counts.set(key, count);
}

class CountedHold implements Hold {
  readonly #caps: readonly Cap[];
  readonly #onRelease: () => void;
  #state: "held" | "released" = "held";

  constructor(caps: readonly Cap[], onRelease: () => void) {
    this.#caps = caps;
    this.#onRelease = onRelease;
  }

  /** The amount that the hold adds to the count of a key. */
  amountOf(key: string): number {
    return this.#state === "held" ? (this.#caps.find((cap) => cap.key === key)?.amount ?? 0) : 0;
  }

  release(): void {
    if (this.#state === "released") return;
    this.#state = "released";
    this.#onRelease();
  }
}
