import { types } from "node:util";
import type { Clock } from "../stream/clock.js";
import { systemClock } from "../stream/system-clock.js";
import { checkOrigins, type Origins } from "./http/cors.js";
import { described, knownOptions } from "./relay/known-options.js";
import { checkedLimits, type RelayLimits } from "./relay/limits.js";

/** An option that is `undefined` counts as left out. */
export interface StreamServerProxyOptions {
  /**
   * The path of the relay, as callers see it. Default "/browser-server"; "" for none. Where a framework mounts the
   * handler at a path, the prefix is either the whole path or what follows the mount path. With several prefixes, the
   * same relay is under each: gRPC's own libraries know no prefix, so they need "".
   */
  prefix?: string | readonly string[] | undefined;
  /** The origins whose pages may use the relay, beside pages of its own origin. Default none; "*" is all. */
  origins?: Origins | undefined;
  /** The limits that differ from {@link defaultLimits}. */
  limits?: Partial<RelayLimits> | undefined;
  /** Signs the tokens; at least 32 bytes. Relays that share a key know each other's tokens. Default random. */
  key?: Uint8Array | undefined;
  /** The clock of all timers. Default the system's. */
  clock?: Clock | undefined;
}

/** The options of a relay, checked and complete; without a key, tokens are signed with a random one. */
export interface CheckedProxyOptions {
  prefixes: readonly string[];
  origins: Origins;
  limits: RelayLimits;
  key: Uint8Array | undefined;
  clock: Clock;
}

/** HMAC-SHA256 is as strong as its key up to the length of its hash, 32 bytes. */
const minKeyBytes = 32;

/** Throws a TypeError for an unknown option or one of a wrong type, and a RangeError for a value that cannot be. */
export function checkedProxyOptions(options: string | StreamServerProxyOptions = {}): CheckedProxyOptions {
  const given = typeof options === "string" ? { prefix: options } : options;
  const names = ["prefix", "origins", "limits", "key", "clock"] as const;
  const {
    prefix = "/browser-server",
    origins = [],
    limits = {},
    key,
    clock = systemClock,
  } = knownOptions("options of a relay", given, names);
  checkOrigins(origins);
  checkKey(key);
  if (typeof clock?.now !== "function" || typeof clock.after !== "function") {
    throw new TypeError(`a clock has the functions now and after, and ${described(clock)} has not`);
  }
  return { prefixes: normalizedPrefixes(prefix), origins, limits: checkedLimits(limits), key, clock };
}

function checkKey(key: unknown): void {
  if (key === undefined) return;
  // A Uint8Array of another realm is none by `instanceof`.
  if (!types.isUint8Array(key)) throw new TypeError(`a key is a Uint8Array, not ${described(key)}`);
  if (key.byteLength < minKeyBytes) throw new RangeError(`a key has ${minKeyBytes} bytes or more`);
}

function normalizedPrefixes(prefix: unknown): string[] {
  const prefixes: unknown[] = Array.isArray(prefix) ? prefix : [prefix];
  if (prefixes.length === 0) throw new RangeError("the list of prefixes is empty, so the relay is nowhere");
  return prefixes.map(normalizedPrefix);
}

function normalizedPrefix(prefix: unknown): string {
  if (typeof prefix !== "string") throw new TypeError(`a prefix is a path, not ${described(prefix)}`);
  const trimmed = prefix.replace(/\/+$/, "");
  const path = trimmed === "" || trimmed.startsWith("/") ? trimmed : `/${trimmed}`;
  if (new URL(`http://localhost${path}`).pathname !== (path || "/")) {
    throw new RangeError(`a prefix is a path, and ${JSON.stringify(prefix)} is none`);
  }
  return path;
}
