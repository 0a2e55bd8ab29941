import { Code } from "@connectrpc/connect";
import { Failure } from "../../gen/streamserver/v1/failure_pb.js";
import { messageOf, StreamError } from "../../stream/error/stream-error.js";
import type { Clock } from "../../stream/platform/clock.js";
import { Condition, Deferred, isThenable } from "../../stream/platform/deferred.js";
import type { Caller, Claims } from "./caller.js";
import { addressKey, callerKey } from "./caller-key.js";
import { HeldBytes } from "./held-bytes.js";
import type { RelayLimits } from "./limits.js";
import {
  type Admitted,
  type Authorize,
  type AuthorizeAdmin,
  type AuthorizeRequest,
  admittedBy,
  maxAccessTokenBytes,
  refusalIn,
} from "./policy/authorize.js";
import { type GrantHold, Grants, type OnGrantEnd } from "./policy/grants.js";
import { KnownTokens } from "./policy/known-tokens.js";
import { ByteRates } from "./rates/byte-rates.js";
import { CallerRates } from "./rates/caller-rates.js";
import { type Cap, capsOf, type Resource } from "./resource.js";
import { quoted, type Warnings } from "./warnings.js";

export interface AdmissionInit {
  limits: RelayLimits;
  clock: Clock;
  /** Tells the operator when a limit is reached, and when `authorize` fails. */
  warnings: Warnings;
  /** Says who may do what. Without it, everybody may do everything. */
  authorize?: Authorize | undefined;
  /** Says who may call `AdminService`. Without it, nobody may. */
  authorizeAdmin?: AuthorizeAdmin | undefined;
}

type Asked = Pick<AuthorizeRequest, "caller" | "metadata" | "token">;
/**
 * A request about which a policy was asked at a time, in milliseconds since 1970, and the key under which it counts if
 * it is refused; undefined for a caller that is not counted.
 */
type Pending = Asked & { askedAtMs: number; refusalKey: string | undefined };

/**
 * Callers that find the relay full are told to try again after 1 s. Nobody knows when something ends; a thousand
 * callers that try again every second cost the relay a tenth of a second.
 */
const retryAfterFullMs = 1_000;

/** A caller that was quiet may make the calls of so many seconds at once, as a page does that is loaded. */
export const burstSeconds = 10;

/** A resource that is counted. Whoever ends the resource releases it, once or more often. */
export interface Hold {
  release(): void;
}

/** The one door of the relay: everything that is limited is counted here, as long as it lives. */
export class Admission {
  readonly #limits: RelayLimits;
  readonly #clock: Clock;
  readonly #warnings: Warnings;
  readonly #authorize: Authorize | undefined;
  readonly #rates: CallerRates;
  readonly #returnRates: CallerRates;
  readonly #linkRates: CallerRates;
  readonly #knownTokens = new KnownTokens();
  /** How fast legs may bring bytes. */
  readonly byteRates: ByteRates;
  /** The bytes that wait to be read. */
  readonly heldBytes: HeldBytes;
  readonly #authorizeAdmin: AuthorizeAdmin | undefined;
  /** The number of resources of each kind. */
  readonly #kinds = new Map<string, number>();
  /** The counts under the keys of caps. */
  readonly #counts = new Map<string, number>();
  /** Notified when something is released. */
  readonly released = new Condition();
  /** The names, streams and watches that live by the grants of `authorize`. */
  readonly grants: Grants;

  constructor({ limits, clock, warnings, authorize, authorizeAdmin }: AdmissionInit) {
    this.#limits = limits;
    this.#clock = clock;
    this.#warnings = warnings;
    this.#authorize = authorize;
    this.byteRates = new ByteRates(clock, limits);
    this.heldBytes = new HeldBytes({ limits, clock, full: (limit, message) => this.full(limit, message) });
    const { maxCallsPerSecondPerCaller: perSecond } = limits;
    this.#rates = new CallerRates(clock, { burst: burstSeconds * perSecond, perSecond });
    // All that one caller may have comes back at once when its network was away or the relay was started again: the
    // streams that it has opened, those of its names, which may be all there are, and the names.
    const burst = limits.maxStreams + limits.maxStreamsPerCaller + limits.maxNamesPerCaller;
    this.#returnRates = new CallerRates(clock, { burst, perSecond });
    // All tabs of an office come back at once, too.
    this.#linkRates = new CallerRates(clock, { burst: limits.maxLinksPerCaller, perSecond });
    this.#authorizeAdmin = authorizeAdmin;
    this.grants = new Grants({ clock });
  }

  /** Whether somebody says who may do what. */
  get hasPolicy(): boolean {
    return this.#authorize !== undefined;
  }

  /**
   * Lets a caller do what it asks for, at once if nobody has to be waited for. This process may do everything.
   *
   * - Returns, or resolves with, the caller with what is verified about it.
   * - Throws, or rejects with, FAILURE_NOT_PERMITTED or another refusal of `authorize`, and FAILURE_LIMIT_REACHED.
   */
  admit(request: AuthorizeRequest): Admitted | Promise<Admitted> {
    const { caller, metadata } = request;
    if (caller.door === "local") return { caller, metadata };
    const authorize = this.#authorize;
    if (authorize !== undefined) return this.#ask(request, () => authorize(request));
    this.#countCall(addressKey(caller));
    return { caller, metadata };
  }

  /**
   * Lets a visitor in by claims that a token of the relay's own carries, about which the policy was asked before.
   * Throws FAILURE_LIMIT_REACHED.
   */
  admitVisitor(caller: Caller, metadata: Readonly<Record<string, string>>): Admitted {
    this.#countCall(callerKey(caller));
    return { caller, metadata };
  }

  /**
   * Lets an operator call `AdminService`, as {@link admit} does others. Without a policy for operators there is none.
   */
  admitAdmin(caller: Caller, token: string): Admitted | Promise<Admitted> {
    const authorize = this.#authorizeAdmin;
    if (authorize === undefined) throw noOperatorError();
    return this.#ask({ caller, token, metadata: {} }, () => authorize({ action: "admin", token, caller }));
  }

  #ask(request: Asked, ask: () => unknown): Admitted | Promise<Admitted> {
    const { caller, token } = request;
    // A refusal counts, so that an address which guesses tokens is soon asked about no more.
    const refusalKey = this.#refusalKeyOf(caller, token);
    this.#checkRate(refusalKey);
    if (token.length > maxAccessTokenBytes) throw tokenTooLongError(token.length);
    const hold = this.hold(caller, { kind: "authorization", key: refusalKey });
    // A revocation that comes while the policy works is one of the grant that it returns.
    const pending = { ...request, askedAtMs: Date.now(), refusalKey };
    let grant: unknown;
    try {
      grant = ask();
      if (isThenable(grant)) return this.#granted(pending, grant, hold);
    } catch (reason) {
      hold.release();
      throw this.#refusal(reason, pending);
    }
    hold.release();
    return this.#admitted(grant, pending);
  }

  /** The number of resources of a kind. */
  count(kind: Resource["kind"]): number {
    return this.#kinds.get(kind) ?? 0;
  }

  /**
   * Counts a resource of a caller until it is released. `instead` is a hold whose place it takes, and which is released
   * if there is room. `onGrantEnd` is called if the grant of the caller ends before the hold is released. Throws
   * FAILURE_LIMIT_REACHED, and FAILURE_NOT_PERMITTED for a caller whose token was revoked meanwhile.
   */
  hold(caller: Caller, resource: Resource, instead?: Hold, onGrantEnd?: OnGrantEnd): Hold {
    const caps = capsOf(resource, this.#limits, caller);
    const before = instead as CountedHold | undefined;
    for (const { key, amount, max, limit, message } of caps) {
      const counted = (this.#counts.get(key) ?? 0) - (before?.amountOf(key) ?? 0);
      if (counted + amount > max) throw this.full(limit, message());
    }
    const grant = onGrantEnd && this.grants.hold(caller, onGrantEnd);
    before?.release();
    add(this.#kinds, resource.kind, 1);
    for (const { key, amount } of caps) add(this.#counts, key, amount);
    return new CountedHold(resource.kind, caps, grant, this.#onRelease);
  }

  readonly #onRelease = ({ kind, counted, grant }: CountedHold): void => {
    grant?.release();
    add(this.#kinds, kind, -1);
    for (const [key, amount] of amountsIn(counted)) add(this.#counts, key, -amount);
    this.released.notify();
  };

  async #granted(request: Pending, grant: PromiseLike<unknown>, hold: Hold): Promise<Admitted> {
    const { authorizeTimeoutMs } = this.#limits;
    const late = new Deferred<never>();
    const cancelDeadline = this.#clock.after(authorizeTimeoutMs, () =>
      late.reject(new Error(`no answer within ${authorizeTimeoutMs} ms`)),
    );
    let answer: unknown;
    try {
      answer = await Promise.race([grant, late.promise]);
    } catch (reason) {
      throw this.#refusal(reason, request);
    } finally {
      cancelDeadline();
      hold.release();
    }
    return this.#admitted(answer, request);
  }

  /** Throws for a grant whose token was revoked, too. */
  #admitted(grant: unknown, request: Pending): Admitted {
    let admitted: Admitted;
    try {
      admitted = admittedBy(grant, request, this.#limits.maxMetadataBytes, (error) => this.#warnOfShows(error));
      this.grants.check(admitted.caller);
    } catch (reason) {
      throw this.#refusal(reason, request);
    }
    this.grants.letIn(request.caller, admitted.caller.claims);
    if (request.refusalKey !== undefined) this.#knownTokens.add(request.token);
    this.#countCall(callerKey(admitted.caller));
    return admitted;
  }

  /** Counts a call for a caller. Throws FAILURE_LIMIT_REACHED if there were too many. */
  #countCall(key: string | undefined): void {
    if (key !== undefined && !this.#rates.take(key)) this.#checkRate(key);
  }

  /**
   * Counts a call whose token of the relay's own was none, as one of a caller that guesses. Returns the error for the
   * caller in place of `refusal` if there were too many. A caller at the same address that has the right token is not
   * held back: no guess finds it, and calls that are let in are counted apart.
   */
  afterGuess({ caller, refusal }: { caller: Caller; refusal: StreamError }): StreamError {
    try {
      this.#countCall(guessKeyOf(caller));
      return refusal;
    } catch (reason) {
      return StreamError.from(reason);
    }
  }

  /**
   * Counts an endpoint that has proved that a stream or a name is its own and comes back to it. `claims` are those with
   * which it was let in, so that a proxy may bring back the endpoints of many callers. Throws FAILURE_LIMIT_REACHED if
   * too many came.
   */
  countReturn(caller: Caller, claims: Claims | undefined): void {
    const key = callerKey({ ...caller, claims });
    if (key === undefined || this.#returnRates.take(key)) return;
    throw this.#tooOften("comes back to", "streams and names", this.#returnRates.waitMs(key));
  }

  /** Counts a link that a caller opens, for its address. Throws FAILURE_LIMIT_REACHED if it has opened too many. */
  countLink(caller: Caller): void {
    const key = addressKey(caller);
    if (key === undefined || this.#linkRates.take(key)) return;
    throw this.#tooOften("opens", "links", this.#linkRates.waitMs(key));
  }

  /** Throws FAILURE_LIMIT_REACHED if a caller has to wait before it calls again. */
  #checkRate(key: string | undefined): void {
    const waitMs = key === undefined ? 0 : this.#rates.waitMs(key);
    if (waitMs > 0) throw this.#tooOften("makes", "calls", waitMs);
  }

  #tooOften(does: string, things: string, waitMs: number): StreamError {
    const limit = "maxCallsPerSecondPerCaller";
    return this.full(limit, `the caller ${does} more than ${this.#limits[limit]} ${things} in a second`, waitMs);
  }

  /**
   * A token that has let somebody in before has a rate of refusals of its own, so that a neighbour at the same address
   * who guesses does not hold back its holder. Any other counts for the address.
   */
  #refusalKeyOf(caller: Caller, token: string): string | undefined {
    const guessKey = guessKeyOf(caller);
    const digest = guessKey && this.#knownTokens.digestOf(token);
    return digest === undefined ? guessKey : `token ${digest}`;
  }

  /** Only a refusal that is meant as one is told to the caller as it is. */
  #refusal(reason: unknown, { refusalKey, token }: Pending): StreamError {
    if (refusalKey !== undefined) this.#rates.take(refusalKey);
    const refusal = refusalIn(reason);
    if (refusal?.code === Code.Unauthenticated) this.#knownTokens.delete(token);
    if (refusal !== undefined) return refusal;
    const message = `authorize failed, so a caller was refused: ${quoted(messageOf(reason))}`;
    this.#warnings.warn({ kind: "authorize-failed", error: reason }, message);
    return new StreamError("the relay could not find out whether the caller may do this", {
      failure: Failure.NOT_PERMITTED,
      code: Code.Unavailable,
    });
  }

  #warnOfShows(error: unknown): void {
    const message = `shows of a grant failed, so a name was hidden: ${quoted(messageOf(error))}`;
    this.#warnings.warn({ kind: "authorize-failed", error }, message);
  }

  /** Warns that a limit is reached, and returns the error for the caller who met it, if one did. */
  full(limit: keyof RelayLimits, message: string, retryAfterMs = retryAfterFullMs): StreamError {
    return this.#warnings.limitReached(limit, message, { value: this.#limits[limit], retryAfterMs });
  }

  /** Warns that a caller is cut off which sends more than it can have any use for. */
  cutOff(message: string): void {
    this.#warnings.warn({ kind: "caller-cut-off" }, message);
  }
}

/** Returns the key under which the guesses of an address count, apart from its calls that are let in. */
function guessKeyOf(caller: Caller): string | undefined {
  const key = addressKey(caller);
  return key && `guess by ${key}`;
}

function noOperatorError(): StreamError {
  return new StreamError("this relay has no policy for operators", { failure: Failure.NOT_PERMITTED });
}

function tokenTooLongError(length: number): StreamError {
  const message = `an access token has at most ${maxAccessTokenBytes} bytes, not ${length}`;
  return new StreamError(message, { failure: Failure.NOT_PERMITTED, code: Code.Unauthenticated });
}

/** Adds to a count. A count of 0 takes no memory. */
function add(counts: Map<string, number>, key: string, amount: number): void {
  const count = (counts.get(key) ?? 0) + amount;
  if (count === 0) counts.delete(key);
  else counts.set(key, count);
}

/**
 * The counts that a hold adds to: the key of the only count, to which it adds 1, or each key with its amount. A stream
 * has seven holds for as long as it lives, so this form takes little memory.
 */
type Counted = string | readonly (readonly [key: string, amount: number])[];

function countedBy(caps: readonly Cap[]): Counted {
  const [only] = caps;
  if (only !== undefined && caps.length === 1 && only.amount === 1) return only.key;
  return caps.map(({ key, amount }) => [key, amount] as const);
}

function amountsIn(counted: Counted): readonly (readonly [key: string, amount: number])[] {
  return typeof counted === "string" ? [[counted, 1]] : counted;
}

class CountedHold implements Hold {
  readonly kind: Resource["kind"];
  readonly counted: Counted;
  readonly grant: GrantHold | undefined;
  readonly #onRelease: (hold: CountedHold) => void;
  #state: "held" | "released" = "held";

  constructor(
    kind: Resource["kind"],
    caps: readonly Cap[],
    grant: GrantHold | undefined,
    onRelease: (hold: CountedHold) => void,
  ) {
    this.kind = kind;
    this.counted = countedBy(caps);
    this.grant = grant;
    this.#onRelease = onRelease;
  }

  /** The amount that the hold adds to the count of a key. */
  amountOf(key: string): number {
    if (this.#state === "released") return 0;
    return amountsIn(this.counted).find(([each]) => each === key)?.[1] ?? 0;
  }

  release(): void {
    if (this.#state === "released") return;
    this.#state = "released";
    this.#onRelease(this);
  }
}
