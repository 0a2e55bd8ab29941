import { Code } from "@connectrpc/connect";
import { Failure } from "../../../gen/streamserver/v1/failure_pb.js";
import { StreamError } from "../../../stream/error/stream-error.js";
import type { Clock } from "../../../stream/platform/clock.js";
import type { Caller, Claims } from "../caller.js";
import type { AuthorizeRequest } from "./authorize.js";
import { type CarriedGrant, carriedGrant, carriedGrantText } from "./carried-grant.js";
import { type Revocation, Revocations } from "./revocations.js";

export interface GrantsInit {
  clock: Clock;
  /** The time by which grants expire, in milliseconds since 1970. Default `Date.now`. */
  now?: (() => number) | undefined;
}

/**
 * The interval at which grants that cut are looked at. It follows a clock that is set and a machine that sleeps, as a
 * timer for each grant does not, and 20,000 grants take a millisecond.
 */
export const expiryIntervalMs = 1_000;

/**
 * The names, streams and watches that live by grants. Each ends when its grant is revoked, or when a grant that
 * cuts expires.
 */
export class Grants {
  readonly #clock: Clock;
  readonly #now: () => number;
  readonly #revocations = new Revocations();
  readonly #living = new Set<Living>();
  /** The claims of the newest token that took the place of the one behind the claims, for those that were renewed. */
  readonly #newest = new WeakMap<Claims, Claims>();
  /** The claims of tokens of other processes, by {@link #adoptedKeys}, and how many things live by them. */
  readonly #adopted = new Map<string, { claims: Claims; holds: number }>();
  readonly #adoptedKeys = new WeakMap<Claims, string>();
  /** The holds whose grants cut when they expire. */
  readonly #cutting = new Set<Living>();
  /** What hears of the grants by which the calls of a caller are let in. */
  readonly #followers = new WeakMap<Caller, (claims: Claims) => void>();
  #stopLooking: (() => void) | undefined;

  constructor({ clock, now = Date.now }: GrantsInit) {
    this.#clock = clock;
    this.#now = now;
  }

  /** The number of things that live by a grant. */
  get size(): number {
    return this.#living.size;
  }

  /** Throws FAILURE_NOT_PERMITTED for a grant whose token was revoked. */
  check(caller: Pick<Caller, "claims">): void {
    if (this.isRevoked(caller)) throw endedError("revoked");
  }

  /** Whether the token by which a caller was let in was revoked. */
  isRevoked({ claims }: Pick<Caller, "claims">): boolean {
    return claims !== undefined && this.#revocations.includes(this.current(claims));
  }

  /**
   * Whether claims that a token of the relay's own carries are known to be good still: they have time left, and were
   * not revoked. Claims that do not say when they end may be worth nothing any more.
   */
  holds(claims: Claims): boolean {
    return (claims.expiresAtMs ?? 0) > this.#now() && !this.#revocations.includes(claims);
  }

  /** Whether claims with which a caller was let in are good still: they have not expired, and were not revoked. */
  isGood(claims: Claims): boolean {
    const current = this.current(claims);
    return (current.expiresAtMs ?? Number.POSITIVE_INFINITY) > this.#now() && !this.#revocations.includes(current);
  }

  /**
   * Calls `end` once with the error if the grant of a caller ends before the returned hold is released. A caller
   * without claims needs no grant. Throws FAILURE_NOT_PERMITTED for a grant whose token was revoked, as while it was
   * asked for.
   */
  hold({ claims }: Pick<Caller, "claims">, end: OnGrantEnd): GrantHold {
    return claims === undefined ? { release() {} } : this.#add({ claims, end, isCounted: true });
  }

  /** The same for the link that brought the call of a caller. It is not counted among what lives by the grant. */
  holdLink(claims: Claims, end: OnGrantEnd): GrantHold {
    return this.#add({ claims, end, isCounted: false });
  }

  /** Calls `onLetIn` with the claims of each grant by which a call of this very caller, that of a link, is let in. */
  follow(caller: Caller, onLetIn: (claims: Claims) => void): void {
    this.#followers.set(caller, onLetIn);
  }

  /** A call of a caller was let in by a grant, or comes back to what was. */
  letIn(caller: Caller, claims: Claims | undefined): void {
    if (claims !== undefined) this.#followers.get(caller)?.(claims);
  }

  #add(living: Living): GrantHold {
    this.check(living);
    this.#living.add(living);
    this.#countAdopted(living.claims, 1);
    this.#watchExpiry(living);
    return { release: () => this.#remove(living) };
  }

  /**
   * The time until what lives by the grant of a caller ends because it expires, in milliseconds; undefined for never.
   */
  expiresInMs({ claims }: Pick<Caller, "claims">): number | undefined {
    const { cut = false, expiresAtMs } = claims === undefined ? {} : this.current(claims);
    return cut && expiresAtMs !== undefined ? Math.max(1, expiresAtMs - this.#now()) : undefined;
  }

  /**
   * Puts the claims of a newer token in the place of those with which a caller was let in, for all that lives by them,
   * now and later. Throws FAILURE_NOT_PERMITTED for claims of another subject.
   */
  renew(claims: Claims, newer: Claims): void {
    if (newer.subject !== claims.subject) throw otherSubjectError();
    this.#newest.set(claims, newer);
    for (const living of this.#living) if (living.claims === claims) this.#watchExpiry(living);
  }

  /** Revokes tokens, and ends what lives by them. Returns how much that was. Throws what `Revocations.add` throws. */
  revoke(revocation: Revocation): number {
    this.#revocations.add(revocation, this.#now());
    return this.#endThose(this.#living, (living) => this.isRevoked(living), "revoked");
  }

  /**
   * Returns the grant in a text of this or an equal relay. Undefined for an empty text. A name and its streams, or the
   * streams of a client, which another process has let in by one access token, have the same claims here as well, so
   * that a newer token counts for all of them.
   */
  adopt(action: AuthorizeRequest["action"], text: string): CarriedGrant | undefined {
    const grant = carriedGrant(text);
    if (grant === undefined) return undefined;
    const key = `${action} ${text}`;
    const claims = this.#adopted.get(key)?.claims ?? grant.claims;
    this.#adoptedKeys.set(claims, key);
    return { ...grant, claims };
  }

  #countAdopted(claims: Claims, change: 1 | -1): void {
    const key = this.#adoptedKeys.get(claims);
    if (key === undefined) return;
    const holds = (this.#adopted.get(key)?.holds ?? 0) + change;
    if (holds > 0) this.#adopted.set(key, { claims, holds });
    else this.#adopted.delete(key);
  }

  /** Returns a grant as the relay's own tokens carry it, with the claims of the newest token. */
  textOf({ claims, name }: CarriedGrant): string {
    return carriedGrantText({ claims: this.current(claims), name });
  }

  /** Returns the claims of the newest token that took the place of the one behind these. */
  current(claims: Claims): Claims {
    return this.#newest.get(claims) ?? claims;
  }

  #watchExpiry(living: Living): void {
    if (this.expiresInMs(living) === undefined) this.#cutting.delete(living);
    else this.#cutting.add(living);
    this.#lookIfNeeded();
  }

  /** Looks for grants that have expired as long as there are some that cut. */
  #lookIfNeeded(): void {
    if (this.#cutting.size > 0) this.#stopLooking ??= this.#lookLater();
    else {
      this.#stopLooking?.();
      this.#stopLooking = undefined;
    }
  }

  #lookLater(): () => void {
    return this.#clock.after(
      expiryIntervalMs,
      () => {
        const nowMs = this.#now();
        const isOver = ({ claims }: Living) => (this.current(claims).expiresAtMs ?? nowMs + 1) <= nowMs;
        this.#stopLooking = undefined;
        this.#endThose(this.#cutting, isOver, "expired");
        this.#lookIfNeeded();
      },
      false,
    );
  }

  #endThose(among: ReadonlySet<Living>, isOver: (living: Living) => boolean, why: GrantEnd): number {
    let ended = 0;
    for (const living of [...among].filter(isOver)) {
      // One that ended before may have taken this one with it.
      if (!this.#living.has(living)) continue;
      this.#remove(living);
      living.end(endedError(why), why);
      if (living.isCounted) ended += 1;
    }
    return ended;
  }

  #remove(living: Living): void {
    if (this.#living.delete(living)) this.#countAdopted(living.claims, -1);
    this.#cutting.delete(living);
    this.#lookIfNeeded();
  }
}

function otherSubjectError(): StreamError {
  return new StreamError("the access token is of another subject", { failure: Failure.NOT_PERMITTED });
}

interface Living {
  /** The claims with which it was let in. Newer ones may have taken their place. */
  readonly claims: Claims;
  readonly end: OnGrantEnd;
  /** Whether it is one of the names, streams and watches that a revocation tells the number of. */
  readonly isCounted: boolean;
}

/** A name, a stream or a watch that lives by a grant. Whoever ends it releases it, once or more often. */
export interface GrantHold {
  release(): void;
}

/** Why what lived by a grant ended. */
export type GrantEnd = "revoked" | "expired";

/** Ends what lived by a grant, with the error for its holder. */
export type OnGrantEnd = (error: StreamError, why: GrantEnd) => void;

const wordsFor: Readonly<Record<GrantEnd, string>> = { revoked: "was revoked", expired: "has expired" };

function endedError(why: GrantEnd): StreamError {
  return new StreamError(`the access token ${wordsFor[why]}`, {
    failure: Failure.NOT_PERMITTED,
    code: Code.Unauthenticated,
  });
}
