import { nameOf, type StreamError } from "../../stream/error/stream-error.js";
import type { Clock } from "../../stream/platform/clock.js";
import type { Caller } from "../admission/caller.js";
import type { Revocation } from "../admission/policy/revocations.js";
import { errorIdOf } from "../relay/error-id.js";
import type { NameChange } from "../relay/lease/registry.js";
import type {
  CallEnd,
  LinkChange,
  LiveStream,
  OperatorAct,
  Refusal,
  RelayEvent,
  StreamChange,
} from "../relay/relay-events.js";
import { hopNames } from "./hop-names.js";

/** A name of the longest default limit, 256 bytes, is logged whole. */
const maxTextChars = 256;

/**
 * Refusals that are logged in a second, so that callers who are let in nowhere cannot fill a disk: 100 lines of 400
 * bytes are 140 MB in an hour.
 */
export const maxRefusalsPerSecond = 100;
/** Lines of links in a second, that they opened and ended, because anybody may open one: as many as refusals. */
export const maxLinkLinesPerSecond = 100;
/** Lines of calls of the gateway in a second: as many as refusals, because a page alone may make more. */
export const maxCallLinesPerSecond = 100;
/**
 * Lines in a second of streams and names that lose an endpoint and get it back, because an endpoint may come back as
 * often as it likes: as many as refusals.
 */
export const maxReturnLinesPerSecond = 100;

/** A logger of pino's kind: the fields of a line. */
export interface RelayLogger {
  info(fields: Readonly<Record<string, unknown>>): void;
}

export interface RelayLogInit {
  logger: RelayLogger;
  clock: Clock;
  graceMs: number;
}

/**
 * Writes a line for each event of a relay: with ids, the reason, the hop, bytes, the duration and the caller, and
 * without tokens, metadata, messages, paths, and the words of applications. Floods of refusals, of links, of calls, and
 * of endpoints that go and come back are counted instead.
 */
export class RelayLog {
  readonly #init: RelayLogInit;
  readonly #refusals: LineBudget;
  readonly #links: LineBudget;
  readonly #calls: LineBudget;
  readonly #returns: LineBudget;

  constructor(init: RelayLogInit) {
    this.#init = init;
    this.#refusals = new LineBudget(init.clock, maxRefusalsPerSecond);
    this.#links = new LineBudget(init.clock, maxLinkLinesPerSecond);
    this.#calls = new LineBudget(init.clock, maxCallLinesPerSecond);
    this.#returns = new LineBudget(init.clock, maxReturnLinesPerSecond);
  }

  write(event: RelayEvent): void {
    const { logger, graceMs } = this.#init;
    const budget = this.#budgetOf(event);
    if (budget?.take() === false) return;
    const fields = fieldsOf(event, graceMs);
    if (fields === undefined) return;
    const unlogged = budget?.takeUnlogged() ?? 0;
    if (unlogged > 0) fields.unlogged = unlogged;
    logger.info(fields);
  }

  /** Returns the budget of events that strangers cause as often as they like. */
  #budgetOf(event: RelayEvent): LineBudget | undefined {
    switch (event.kind === "lease" ? event.change.kind : event.kind) {
      case "refused":
        return this.#refusals;
      case "link opened":
      case "link ended":
        return this.#links;
      case "call ended":
        return this.#calls;
      case "suspended":
      case "resumed":
      case "stream adopted":
      case "stream suspended":
      case "stream resumed":
        return this.#returns;
    }
    return undefined;
  }
}

/** Allows so many lines in each second, and counts those beyond. */
class LineBudget {
  readonly #clock: Clock;
  readonly #maxPerSecond: number;
  /** The second that lines are counted in, and how many came in it. */
  #second = { sinceMs: Number.NEGATIVE_INFINITY, lines: 0 };
  /** The lines that were not allowed since the last one that was. */
  #unlogged = 0;

  constructor(clock: Clock, maxPerSecond: number) {
    this.#clock = clock;
    this.#maxPerSecond = maxPerSecond;
  }

  /** Returns whether a line is allowed. */
  take(): boolean {
    const nowMs = this.#clock.now();
    if (nowMs - this.#second.sinceMs >= 1_000) this.#second = { sinceMs: nowMs, lines: 0 };
    this.#second.lines += 1;
    if (this.#second.lines <= this.#maxPerSecond) return true;
    this.#unlogged += 1;
    return false;
  }

  /** Returns the number of lines that were not allowed since this was asked last. */
  takeUnlogged(): number {
    const unlogged = this.#unlogged;
    this.#unlogged = 0;
    return unlogged;
  }
}

type Fields = { event: string } & Record<string, unknown>;

function fieldsOf(event: RelayEvent, graceMs: number): Fields | undefined {
  switch (event.kind) {
    case "lease":
      return leaseFields(event.change, graceMs);
    case "link opened":
    case "link ended":
      return linkFields(event);
    case "refused":
      return refusalFields(event);
    case "call ended":
      return callFields(event);
    case "frame relayed":
      return undefined;
    case "operator acted":
      return operatorFields(event);
    default:
      return streamFields(event);
  }
}

function leaseFields(change: NameChange, graceMs: number): Fields {
  const { id, name, listed, caller, ageMs } = change.lease;
  const common = { name, leaseId: id };
  switch (change.kind) {
    case "created":
      return { event: "name.claimed", ...common, listed, ...callerFields(caller) };
    case "suspended":
      return { event: "name.suspended", ...common, graceMs };
    case "resumed":
      return { event: "name.resumed", ...common };
    case "destroyed":
      return {
        event: "name.released",
        ...common,
        reason: change.end,
        durationMs: whole(ageMs),
        ...callerFields(caller),
      };
  }
}

function streamFields(change: Exclude<StreamChange, { kind: "frame relayed" }>): Fields {
  const { stream } = change;
  const common = { streamId: stream.id, name: stream.name || undefined };
  switch (change.kind) {
    case "stream offered":
      return { event: "stream.offered", ...common, ...callerFields(stream.caller) };
    case "stream accepted":
      return { event: "stream.accepted", ...common, waitedMs: whole(change.waitedMs) };
    case "stream adopted":
    case "stream suspended":
    case "stream resumed":
      return { event: change.kind.replace(" ", "."), ...common, hop: change.role };
    case "stream ended": {
      const { hop, failure, code, reason } = change.end;
      const why = code === undefined ? "finished" : nameOf(failure, code);
      return { event: "stream.ended", ...common, reason: why, hop, message: cut(reason), ...totalsOf(stream) };
    }
  }
}

function totalsOf({ client, listener, ageMs, caller }: LiveStream): Record<string, unknown> {
  const bytes = { client: client.bytes, listener: listener.bytes };
  return { bytes, durationMs: whole(ageMs), ...callerFields(caller) };
}

function linkFields(change: LinkChange): Fields {
  const { linkId, caller } = change;
  if (change.kind === "link opened") return { event: "link.opened", linkId, ...callerFields(caller) };
  const { error, durationMs } = change;
  return { event: "link.ended", linkId, ...errorFields(error), durationMs: whole(durationMs), ...callerFields(caller) };
}

/** Without the words of the error, which may be the listener's. */
function callFields({ name, method, caller, status, error, bytes, durationMs }: CallEnd): Fields {
  const why =
    error === undefined
      ? { reason: "finished" }
      : { reason: nameOf(error.failure, error.code), hop: hopNames[error.hop], errorId: errorIdOf(error) };
  const asked = { name: cut(name), method: cut(method), status };
  return { event: "call.ended", ...asked, ...why, bytes, durationMs: whole(durationMs), ...callerFields(caller) };
}

function operatorFields({ act, caller, streamId, leaseId, reason, revocation }: OperatorAct): Fields {
  const revoked = revocation && revokedFields(revocation);
  return { event: "operator.acted", act, streamId, leaseId, revoked, message: cut(reason), ...callerFields(caller) };
}

function revokedFields({ sub, jti, issuedBefore }: Revocation): Record<string, unknown> {
  const issuedBeforeMs = issuedBefore === undefined ? undefined : Number(issuedBefore);
  return { subject: cut(sub), tokenId: cut(jti), issuedBeforeMs };
}

function refusalFields({ call, error, errorId, caller, name, streamId }: Refusal): Fields {
  const asked = { name: cut(name), streamId: cut(streamId) };
  const { limit } = error;
  return { event: "refused", call, ...errorFields(error), limit, errorId, ...asked, ...callerFields(caller) };
}

/** The reason, the hop and the relay's words. The hop is as the caller sees it. */
function errorFields({ failure, code, hop, message }: StreamError): Record<string, unknown> {
  return { reason: nameOf(failure, code), hop: hopNames[hop], message: cut(message) };
}

/** The facts about a caller that are known. Its origin is as it gave it, so a terminal must not show it as it is. */
function callerFields(caller: Caller | undefined): { caller?: Record<string, unknown> } {
  if (caller === undefined) return {};
  const { door, address, origin, claims } = caller;
  const facts = { door, address, origin: cut(origin), subject: cut(claims?.subject), tokenId: cut(claims?.tokenId) };
  return { caller: Object.fromEntries(Object.entries(facts).filter(([, fact]) => fact)) };
}

/** Text of a stranger, which nobody has checked, up to a length. Undefined if there is none. */
function cut(text = ""): string | undefined {
  return text.length > maxTextChars ? `${text.slice(0, maxTextChars)}…` : text || undefined;
}

function whole(ms: number): number {
  return Math.round(ms);
}
