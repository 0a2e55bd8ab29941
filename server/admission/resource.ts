import type { Caller } from "./caller.js";
import { callerKey } from "./caller-key.js";
import type { RelayLimits } from "./limits.js";
import { quoted } from "./warnings.js";

/** A thing in the relay that is counted as long as it lives. */
export type Resource =
  /** A name that a listener holds. One that is taken up, as after a restart of the relay, counts for no caller. */
  | { kind: "name"; isTakenUp: boolean }
  /**
   * A stream, or an offer of one. The name is empty for a stream that was accepted in another process: nobody knows any
   * more who opened it, so it counts for no caller.
   */
  | { kind: "stream"; name: string }
  /** An offer that waits at a lease. */
  | { kind: "offer"; leaseId: string; name: string }
  /** An offer that waits for a listener of a name that has none, and the bytes of its facts. */
  | { kind: "waiting offer"; name: string; bytes: number }
  /** An open call of `Connect` or `Accept`. */
  | { kind: "leg" }
  /** One whose leg has ended, as long as its caller has not read that to the end. */
  | { kind: "ended leg" }
  /** An open call of `Watch`. */
  | { kind: "watch" }
  /** An open call that watches the relay's health. */
  | { kind: "health watch" }
  | { kind: "link" }
  /** A connection to a port of the relay's own. */
  | { kind: "connection" }
  /** A request of HTTP that the gateway has under way, until its answer is closed. */
  | { kind: "gateway call" }
  /** An open RPC of a request of its own, from its head until its response is closed. */
  | { kind: "call" }
  /**
   * A call, on a channel too, that holds no name, leg, watch or link: its first message has not come, the policy has
   * not answered, or its own answer was not read.
   */
  | { kind: "opening call" }
  /** An open call of the reflection service, which is an open RPC too. */
  | { kind: "reflection call" }
  /** A call that waits for the policy to say whether it may come in, and the key of its token if that is known. */
  | { kind: "authorization"; key?: string | undefined };

/** A count that may not exceed a limit. */
export interface Cap {
  /** The count is kept under this key. */
  key: string;
  /** The amount that the resource adds to the count. */
  amount: number;
  max: number;
  limit: keyof RelayLimits;
  /** Says what there is too much of, for a person. */
  message: () => string;
}

/** Legs allowed per stream: its own two, and two of an ended stream whose response is still being read. */
const legsPerStream = 4;

/**
 * The facts of all offers in the queue, in bytes. 4 MiB hold 450 offers with the largest facts of the default limits.
 */
export const maxWaitingOfferBytes = 4_194_304;

/** Returns the caps that a resource of a caller falls under, in the order in which they are checked. */
export function capsOf(resource: Resource, limits: RelayLimits, caller: Caller): Cap[] {
  const { maxNames, maxStreams, maxStreamsPerName, maxOffersPerName, maxWaitingOffers } = limits;
  const { maxWatchers, maxLinks, maxCalls, maxOpeningCalls, maxAuthorizations, maxGatewayCalls } = limits;
  const key = callerKey(caller);
  switch (resource.kind) {
    case "name":
      return [
        one("name", maxNames, "maxNames", () => `the relay holds ${maxNames} names already`),
        ...ofCaller("name", resource.isTakenUp ? undefined : key, limits, "maxNamesPerCaller", "names"),
      ];
    case "stream": {
      const { name } = resource;
      const message = () => `${quoted(name)} has ${maxStreamsPerName} streams already`;
      return [
        one("stream", maxStreams, "maxStreams", () => `the relay holds ${maxStreams} streams already`),
        ...(name === "" ? [] : [one(`stream of ${name}`, maxStreamsPerName, "maxStreamsPerName", message)]),
        ...ofCaller("stream", name === "" ? undefined : key, limits, "maxStreamsPerCaller", "streams"),
      ];
    }
    case "offer": {
      const message = () => `${maxOffersPerName} clients wait at ${quoted(resource.name)} already`;
      return [one(`offer ${resource.leaseId}`, maxOffersPerName, "maxOffersPerName", message)];
    }
    case "waiting offer": {
      const { name, bytes } = resource;
      const full = () => `${maxWaitingOffers} clients, or ${maxWaitingOfferBytes} bytes of theirs, wait for listeners`;
      const message = () => `${maxOffersPerName} clients wait for a listener of ${quoted(name)} already`;
      return [
        one("waiting offer", maxWaitingOffers, "maxWaitingOffers", full),
        { key: "waiting bytes", amount: bytes, max: maxWaitingOfferBytes, limit: "maxWaitingOffers", message: full },
        one(`waiting offer of ${name}`, maxOffersPerName, "maxOffersPerName", message),
        ...ofCaller("waiting offer", key, limits, "maxWaitingOffersPerCaller", "offers that wait for listeners"),
      ];
    }
    case "leg":
    case "ended leg": {
      const maxLegs = legsPerStream * maxStreams;
      const all = one("leg", maxLegs, "maxStreams", () => `the relay holds ${maxLegs} legs already`);
      if (resource.kind === "leg") return [all];
      // Each may have a frame in the relay that nobody reads, which takes more than the leg itself.
      return [all, ...ofCaller("ended leg", key, limits, "maxStreamsPerCaller", "legs that have ended unread")];
    }
    case "watch":
    case "health watch":
      return [
        one(resource.kind, maxWatchers, "maxWatchers", () => `${maxWatchers} calls watch already`),
        ...ofCaller(resource.kind, key, limits, "maxWatchersPerCaller", "calls that watch"),
      ];
    case "link":
      return [
        one("link", maxLinks, "maxLinks", () => `the relay holds ${maxLinks} links already`),
        ...ofCaller("link", key, limits, "maxLinksPerCaller", "links"),
      ];
    case "connection":
      return ofCaller("connection", key, limits, "maxConnectionsPerCaller", "connections");
    case "call":
      return [
        one("call", maxCalls, "maxCalls", () => `the relay has ${maxCalls} calls open already`),
        ...ofCaller("call", key, limits, "maxCallsPerCaller", "open calls"),
      ];
    case "gateway call":
      return [
        one(
          resource.kind,
          maxGatewayCalls,
          "maxGatewayCalls",
          () => `${maxGatewayCalls} requests are under way already`,
        ),
        ...ofCaller(resource.kind, key, limits, "maxGatewayCallsPerCaller", "requests under way"),
      ];
    case "opening call":
      return [
        one(resource.kind, maxOpeningCalls, "maxOpeningCalls", () => `${maxOpeningCalls} calls have not begun yet`),
        ...ofCaller(resource.kind, key, limits, "maxOpeningCallsPerCaller", "calls that have not begun"),
      ];
    case "reflection call":
      return [
        one(resource.kind, maxWatchers, "maxWatchers", () => `${maxWatchers} calls of reflection are open already`),
        ...ofCaller(resource.kind, key, limits, "maxWatchersPerCaller", "open calls of reflection"),
        ...capsOf({ kind: "call" }, limits, caller),
      ];
    case "authorization": {
      const message = () => `${maxAuthorizations} calls wait for authorize already`;
      return [
        one("authorization", maxAuthorizations, "maxAuthorizations", message),
        ...ofCaller(
          "authorization",
          resource.key ?? key,
          limits,
          "maxAuthorizationsPerCaller",
          "calls that wait for authorize",
        ),
      ];
    }
  }
}

function one(key: string, max: number, limit: keyof RelayLimits, message: () => string): Cap {
  return { key, amount: 1, max, limit, message };
}

/** The cap on the resources of a kind that one caller has, if callers are told apart. */
function ofCaller(
  kind: string,
  key: string | undefined,
  limits: RelayLimits,
  limit: keyof RelayLimits,
  what: string,
): Cap[] {
  if (key === undefined) return [];
  return [one(`${kind} by ${key}`, limits[limit], limit, () => `the caller has ${limits[limit]} ${what} already`)];
}
