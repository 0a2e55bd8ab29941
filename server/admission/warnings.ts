import { Failure } from "../../gen/streamserver/v1/failure_pb.js";
import { type ReachedLimit, StreamError } from "../../stream/error/stream-error.js";
import type { Clock } from "../../stream/platform/clock.js";
import { jsonWithoutHidden } from "../../web/operator/visible-text.js";
import type { RelayLimits } from "./limits.js";

/** The cause of a warning, as a program tells it from others. */
export type WarningCause =
  /** A page may not use the relay: its origin is neither the relay's own nor among `origins`. */
  | { kind: "origin-refused" }
  /** A page may not use the relay: the host name by which it came is not among `hosts`. */
  | { kind: "host-refused" }
  /**
   * A request for the relay's WebSocket asks for another protocol, is no handshake, or came where none can be opened.
   */
  | { kind: "handshake-refused" }
  /** A request names an RPC of the relay, but not under the relay's prefix; or an RPC that there is none of. */
  | { kind: "path-unknown" }
  /** Another handler had read the body of a request before the relay got it. */
  | { kind: "body-read" }
  /** A request could not be handed to the handler of its RPC, and was answered with 500. */
  | { kind: "request-failed"; error: unknown }
  /** The relay, a link or a connection holds as much as this limit allows, and more is refused. */
  | { kind: "limit-reached"; limit: keyof RelayLimits }
  /** A connection or a link was cut off because its client flooded the relay. */
  | { kind: "caller-cut-off" }
  /**
   * `authorize` threw or rejected with something other than a `StreamError`, returned no grant, or took too long; or
   * the function `shows` of a grant threw, or returned no boolean.
   */
  | { kind: "authorize-failed"; error: unknown }
  /** The key set of access tokens cannot be fetched, or has keys that verify none. */
  | { kind: "key-set-troubled"; error: unknown }
  /** The process has no file descriptor left, so that new connections are reset. */
  | { kind: "descriptors-exhausted" }
  /** The operating system could not hand over a connection for another reason. */
  | { kind: "accept-failed"; error: unknown }
  /** A server that the relay is installed on was closed, and the relay was not. */
  | { kind: "server-closed" }
  /** A listener of one of the relay's events threw, or returned a promise that rejected. */
  | { kind: "listener-failed"; event: string; error: unknown };

/** Trouble that the operator of a relay can do something about. */
export type RelayWarning = WarningCause & {
  /**
   * One line that says the trouble, its reason and its remedy. Text from callers in it is cut, without control
   * characters.
   */
  message: string;
  /** The number of times that this has happened since the last warning of the same cause, this time included. */
  count: number;
};

/** A cause is told at most once in this time, so that callers cannot flood the operator's log. */
export const quietTimeMs = 60_000;

/** Text from a caller is cut here. An origin, a host or a path that says where to look is shorter. */
const maxQuotedChars = 200;

interface Told {
  atMs: number;
  /** Warnings of the same cause that have not been told since. */
  untold: number;
  latest: { cause: WarningCause; message: string };
}

/**
 * Tells the operator of trouble, each cause at most once a minute. A warning that comes sooner is counted, and told
 * with the next one of its cause or by `flush`. There are as many entries as there are causes, however many callers
 * there are.
 */
export class Warnings {
  readonly #clock: Clock;
  readonly #tell: (warning: RelayWarning) => void;
  readonly #told = new Map<string, Told>();
  readonly #counts = new Map<WarningCause["kind"], number>();

  constructor(clock: Clock, tell: (warning: RelayWarning) => void) {
    this.#clock = clock;
    this.#tell = tell;
  }

  /** How often each kind of trouble has happened so far, told or not. */
  get counts(): ReadonlyMap<WarningCause["kind"], number> {
    return this.#counts;
  }

  warn(cause: WarningCause, message: string): void {
    this.#counts.set(cause.kind, (this.#counts.get(cause.kind) ?? 0) + 1);
    const key = keyOf(cause);
    const told = this.#told.get(key);
    const atMs = this.#clock.now();
    const latest = { cause, message };
    if (told !== undefined && atMs - told.atMs < quietTimeMs) {
      told.untold += 1;
      told.latest = latest;
      return;
    }
    this.#told.set(key, { atMs, untold: 0, latest });
    this.#tellOf(latest, (told?.untold ?? 0) + 1);
  }

  /** Warns that a limit is reached, and returns the error for the caller who met it, if one did. */
  limitReached(
    limit: keyof RelayLimits,
    message: string,
    { value, retryAfterMs }: Omit<ReachedLimit, "name">,
  ): StreamError {
    this.warn({ kind: "limit-reached", limit }, `${message}, which is the limit ${limit}`);
    return new StreamError(message, { failure: Failure.LIMIT_REACHED, limit: { name: limit, value, retryAfterMs } });
  }

  /** Tells what was counted and not told yet. */
  flush(): void {
    for (const { latest, untold } of this.#told.values()) if (untold > 0) this.#tellOf(latest, untold);
    this.#told.clear();
  }

  #tellOf({ cause, message }: Told["latest"], count: number): void {
    const times = count === 1 ? "" : ` (${count} times since the last warning of this kind)`;
    this.#tell({ ...cause, message: message + times, count });
  }
}

function keyOf(cause: WarningCause): string {
  if (cause.kind === "limit-reached") return `${cause.kind} ${cause.limit}`;
  if (cause.kind === "listener-failed") return `${cause.kind} ${cause.event}`;
  return cause.kind;
}

/**
 * Text from a caller as part of a warning: in quotation marks, cut, with each hidden character escaped.
 */
export function quoted(text: string | undefined): string {
  if (text === undefined) return "none";
  const cut = text.length > maxQuotedChars ? `${text.slice(0, maxQuotedChars)}…` : text;
  return jsonWithoutHidden(JSON.stringify(cut));
}
