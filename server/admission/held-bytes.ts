import type { StreamError } from "../../stream/error/stream-error.js";
import type { Clock } from "../../stream/platform/clock.js";
import type { Caller } from "./caller.js";
import { callerKey } from "./caller-key.js";
import type { RelayLimits } from "./limits.js";

/** The relay asks its holders this often, and more often while they hold more than a quarter of what they may. */
export const lookIntervalMs = 1_000;
export const tightLookIntervalMs = 100;
/**
 * The share of `maxHeldBytes` that may come between two looks when the relay is full: 16 MiB of the default, which take
 * as long to forward as a look at the 40,000 holders of 10,000 streams and links.
 */
const minLookShare = 1 / 32;
/** Holders are ended until this share of a limit is free again, so that the next byte does not end another one. */
const freedShare = 1 / 8;
/**
 * Holders that are ended in one turn of the event loop. Ending one takes a quarter of a millisecond, so others wait 4
 * ms.
 */
export const maxEndsPerTurn = 16;

/** A part of the relay where bytes wait for a caller to read them. */
export interface Holder {
  readonly caller: Caller;
  /** The bytes that wait at this moment. The memory of the operating system, as of its sockets, is not among them. */
  readonly heldBytes: number;
  /** A count that grows as bytes go on from here. Where it stands still between two looks, nobody reads. */
  readonly passedBytes: number;
  /** Lets go of the bytes in this turn or the next, with an error for the endpoint or the client that does not read. */
  endHeld(error: StreamError): void;
}

type HeldLimit = "maxHeldBytes" | "maxHeldBytesPerCaller";

interface Part {
  holder: Holder;
  bytes: number;
  isStalled: boolean;
}

/**
 * The holders of one caller, of which the last is ended first. Each holder of callers that are not told apart is one.
 */
interface Group {
  key: string | undefined;
  bytes: number;
  stalledBytes: number;
  parts: Part[];
}

export interface HeldBytesInit {
  limits: Pick<RelayLimits, HeldLimit>;
  clock: Clock;
  /** Warns that a limit is reached, and returns the error for the caller who met it. */
  full(limit: HeldLimit, message: string): StreamError;
}

/**
 * The bytes that wait in the relay to be read by all callers together, and the limit on them. Each stream stops its own
 * sender when its reader is slow; this bounds the sum of what had come by then. Beyond the limit the relay ends what
 * stands still and holds most, of the caller that holds most, until there is room again. All others go on.
 *
 * Nothing is counted as bytes pass but those that come: the relay asks the holders how much waits, at intervals as long
 * as anything does, and sooner the more bytes have come since and the less room there is. So the sum exceeds the limit
 * by what comes between two looks at most.
 */
export class HeldBytes {
  readonly #init: HeldBytesInit;
  readonly #holders = new Set<Holder>();
  /** The counts of bytes that had gone on at the last look. */
  readonly #passedBytes = new WeakMap<Holder, number>();
  #cancelLook: (() => void) | undefined;
  /** The bytes that may still come before the next look. */
  #roomBytes: number;

  constructor(init: HeldBytesInit) {
    this.#init = init;
    this.#roomBytes = this.#lookBytes(0);
  }

  /** The bytes that wait at this moment. */
  get bytes(): number {
    let bytes = 0;
    for (const { heldBytes } of this.#holders) bytes += heldBytes;
    return bytes;
  }

  /** Adds a holder. The owner calls the returned function, once or more often, when nothing waits there any more. */
  add(holder: Holder): () => void {
    this.#holders.add(holder);
    return () => this.#delete(holder);
  }

  /** Counts bytes that have come from a caller. Called by whatever reads them from the network. */
  received(bytes: number): void {
    this.#roomBytes -= bytes;
    if (this.#roomBytes < 0) {
      this.#roomBytes = Number.POSITIVE_INFINITY;
      // The look is for a turn of its own, because it may end the stream whose bytes these are.
      this.#lookAfter(0);
    } else if (this.#cancelLook === undefined) this.#lookAfter(lookIntervalMs);
  }

  #delete(holder: Holder): void {
    this.#holders.delete(holder);
    if (this.#holders.size === 0) this.#stopLooking();
  }

  #stopLooking(): void {
    this.#cancelLook?.();
    this.#cancelLook = undefined;
  }

  #lookAfter(delayMs: number): void {
    this.#cancelLook?.();
    this.#cancelLook = this.#init.clock.after(delayMs, () => this.#look(), false);
  }

  #lookBytes(heldBytes: number): number {
    const { maxHeldBytes } = this.#init.limits;
    return Math.max(maxHeldBytes * minLookShare, (maxHeldBytes - heldBytes) / 4);
  }

  #look(): void {
    const { maxHeldBytes, maxHeldBytesPerCaller } = this.#init.limits;
    let heldBytes = this.bytes;
    let delayMs = lookIntervalMs;
    if (heldBytes > Math.min(maxHeldBytes, maxHeldBytesPerCaller) / 4) {
      const { endedBytes, isDone } = this.#endHeaviest(this.#groups(), heldBytes);
      heldBytes -= endedBytes;
      delayMs = isDone ? tightLookIntervalMs : 0;
    }
    this.#roomBytes = this.#lookBytes(heldBytes);
    if (heldBytes > 0) this.#lookAfter(delayMs);
    else this.#stopLooking();
  }

  /** Asks each holder that holds something, and puts those of one caller together. */
  #groups(): Group[] {
    const byKey = new Map<string, Group>();
    const groups: Group[] = [];
    for (const holder of this.#holders) {
      const { heldBytes: bytes, passedBytes } = holder;
      if (bytes === 0) continue;
      const isStalled = this.#passedBytes.get(holder) === passedBytes;
      this.#passedBytes.set(holder, passedBytes);
      const key = callerKey(holder.caller);
      let group = key === undefined ? undefined : byKey.get(key);
      if (group === undefined) {
        group = { key, bytes: 0, stalledBytes: 0, parts: [] };
        groups.push(group);
        if (key !== undefined) byKey.set(key, group);
      }
      group.bytes += bytes;
      if (isStalled) group.stalledBytes += bytes;
      group.parts.push({ holder, bytes, isStalled });
    }
    return groups;
  }

  /** Ends holders where there are too many bytes. It is not done if too many holders are left for this turn. */
  #endHeaviest(groups: readonly Group[], heldBytes: number): { endedBytes: number; isDone: boolean } {
    const { limits } = this.#init;
    let ends = 0;
    let endedBytes = 0;
    const endWhileOver = (limit: HeldLimit, sum: () => number, heaviest: () => Group) => {
      if (sum() <= limits[limit]) return;
      while (ends < maxEndsPerTurn && sum() > limits[limit] * (1 - freedShare)) {
        const group = heaviest();
        const part = group.parts.reduce((a, b) => (isBefore(a, b) ? a : b));
        // A holder whose bytes move is not ended to make more room than is needed.
        if (!part.isStalled && sum() <= limits[limit]) return;
        ends += 1;
        endedBytes += part.bytes;
        this.#end(group, part, limit);
      }
    };
    for (const group of groups) {
      if (group.key === undefined) continue;
      endWhileOver(
        "maxHeldBytesPerCaller",
        () => group.bytes,
        () => group,
      );
    }
    endWhileOver(
      "maxHeldBytes",
      () => heldBytes - endedBytes,
      () => groups.reduce(heavier),
    );
    return { endedBytes, isDone: ends < maxEndsPerTurn };
  }

  #end(group: Group, part: Part, limit: HeldLimit): void {
    const { holder, bytes, isStalled } = part;
    group.parts.splice(group.parts.indexOf(part), 1);
    group.bytes -= bytes;
    if (isStalled) group.stalledBytes -= bytes;
    // Its bytes are gone in the next turn, so they count no more.
    this.#delete(holder);
    const who = limit === "maxHeldBytes" ? "all callers" : "the caller";
    const sum = `${who} together left more than ${this.#init.limits[limit]} bytes unread in the relay`;
    holder.endHeld(this.#init.full(limit, `${sum}, ${bytes} of them here`));
  }
}

function heavier(a: Group, b: Group): Group {
  const isHeavier = b.stalledBytes > a.stalledBytes || (b.stalledBytes === a.stalledBytes && b.bytes > a.bytes);
  return isHeavier ? b : a;
}

/** Whether a part is ended before another one. */
function isBefore(a: Part, b: Part): boolean {
  return a.isStalled === b.isStalled ? a.bytes >= b.bytes : a.isStalled;
}
