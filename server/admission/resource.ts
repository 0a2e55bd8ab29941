import type { RelayLimits } from "./limits.js";
import { quoted } from "./warnings.js";

/** A thing in the relay that is counted as long as it lives. */
export type Resource =
  /** A name that a listener holds. */
  | { kind: "name" }
  /** A stream, or an offer of one. */
  | { kind: "stream" }
  /** An offer that waits at a lease. */
  | { kind: "offer"; leaseId: string; name: string }
  /** An offer that waits for a listener of a name that has none, and the bytes of its facts. */
  | { kind: "waiting offer"; name: string; bytes: number }
  /** An open call of `Connect` or `Accept`. */
  | { kind: "leg" }
  /** An open call of `Watch`. */
  | { kind: "watch" }
  /** An open call that watches the relay's health. */
  | { kind: "health watch" }
  | { kind: "link" }
  /** A call that waits for the policy to say whether it may come in. */
  | { kind: "authorization" };

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

/** The facts of all offers in the queue, in bytes. 4 MiB hold 450 offers with the largest facts of the default limits. */
export const maxWaitingOfferBytes = 4_194_304;

/** Returns the caps that a resource falls under, in the order in which they are checked. */
export function capsOf(resource: Resource, limits: RelayLimits): Cap[] {
  const { maxNames, maxStreams, maxOffersPerName, maxWaitingOffers, maxWatchers, maxLinks, maxAuthorizations } = limits;
  switch (resource.kind) {
    case "name":
      return [one("name", maxNames, "maxNames", () => `the relay holds ${maxNames} names already`)];
    case "stream":
      return [one("stream", maxStreams, "maxStreams", () => `the relay holds ${maxStreams} streams already`)];
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
        one(`waiting offer ${name}`, maxOffersPerName, "maxOffersPerName", message),
      ];
    }
    case "leg": {
      // Legs of an ended stream stay until their endpoints have read the response; without a cap they pile up unread.
      const maxLegs = legsPerStream * maxStreams;
      return [one("leg", maxLegs, "maxStreams", () => `the relay holds ${maxLegs} legs already`)];
    }
    case "watch":
    case "health watch":
      return [one(resource.kind, maxWatchers, "maxWatchers", () => `${maxWatchers} calls watch already`)];
    case "link":
      return [one("link", maxLinks, "maxLinks", () => `the relay holds ${maxLinks} links already`)];
    case "authorization": {
      const message = () => `${maxAuthorizations} calls wait for authorize already`;
      return [one("authorization", maxAuthorizations, "maxAuthorizations", message)];
    }
  }
}

function one(key: string, max: number, limit: keyof RelayLimits, message: () => string): Cap {
  return { key, amount: 1, max, limit, message };
}
