import type { Clock } from "../stream/platform/clock.js";
import { systemClock } from "../stream/platform/system-clock.js";
import { described, knownOptions } from "./admission/known-options.js";
import { checkedLimits, maxTimerMs, type RelayLimits } from "./admission/limits.js";
import type { Authorize, AuthorizeAdmin } from "./admission/policy/authorize.js";
import { type CheckedGatewayOptions, checkedGatewayOptions, type GatewayOptions } from "./gateway/gateway-options.js";
import { checkOrigins, type Origins } from "./http/page/cors.js";
import { checkedHosts, type Hosts } from "./http/page/hosts.js";
import { TrustedProxies } from "./http/request/trusted-proxies.js";
import { checkedTokenKeys, type TokenKeys } from "./relay/token-keys.js";

/** An option that is `undefined` counts as left out. */
export interface StreamServerProxyOptions {
  /**
   * The path of the relay, as callers see it. Default "/browser-server"; "" for none. Where a framework mounts the
   * handler at a path, the prefix is either the whole path or what follows the mount path. With several prefixes, the
   * same relay is under each: gRPC's own libraries know no prefix, so they need "".
   */
  prefix?: string | readonly string[] | undefined;
  /**
   * The origins whose pages may use the relay, and read the gateway's own answers, beside pages of its own origin.
   * Default none; "*" is all.
   */
  origins?: Origins | undefined;
  /**
   * The host names under which pages reach the relay, without a port. Default "*", which is any: then the relay takes a
   * page from anywhere whose name was pointed at the relay's address (DNS rebinding) for a page of its own. With a
   * list, requests of pages under any other name are answered with 403, unless `origins` names the page. Programs send
   * no Origin, and reach the relay by any name.
   */
  hosts?: Hosts | undefined;
  /** The limits that differ from {@link defaultLimits}. */
  limits?: Partial<RelayLimits> | undefined;
  /**
   * The keys of the tokens, as bytes or in base64url, each of at least 32 bytes, at most 16. The first one signs, and
   * all verify: to rotate, put a new key in front and leave the old one behind it. Relays with the same keys verify
   * each other's tokens, and so does a relay that restarts. Default one random key, which ends with the relay.
   */
  tokenKeys?: readonly (Uint8Array | string)[] | undefined;
  /**
   * Says who may listen on a name, connect to one, and list names. Asked for each call, before anything about the name
   * is told; endpoints that come back prove by their own tokens that they were let in, and calls of this process are
   * not asked about. Default: everybody may do everything.
   */
  authorize?: Authorize | undefined;
  /**
   * The addresses of the proxies in front of the relay, or subnets of them, such as "10.0.0.0/8". They are taken at
   * their word about whom they forward (`X-Forwarded-For`), so they must add to that header, and nobody may get around
   * them. Without it, each caller has the address of the proxy, and so have its limits. Default none.
   */
  trustedProxies?: readonly string[] | undefined;
  /**
   * Serves `AdminService`, which shows an operator all that the relay holds, and ends it by hand, to the callers whom
   * this function lets in, such as one made by `tokenPolicy`. Default: the relay serves none.
   */
  admin?: AuthorizeAdmin | undefined;
  /**
   * Brings requests of HTTP to the listeners of names, for whoever may connect to them: `{ by: "path" }` at
   * `/~/NAME/…`, `{ by: "host", host: "relay.example" }` at `NAME.relay.example`. Default: the relay has none.
   */
  gateway?: GatewayOptions | undefined;
  /** The clock of all timers. Default the system's. */
  clock?: Clock | undefined;
}

export interface DrainOptions {
  /** The time that streams get to end, in milliseconds, from 0 to 2,147,483,647. Default 10,000. */
  timeoutMs?: number | undefined;
}

/** Supervisors kill a process some time after they told it to end: Docker after 10 s, Kubernetes after 30 s. */
export const defaultDrainTimeoutMs = 10_000;

/** The options of a relay, checked and complete; without keys, tokens are signed with a random one. */
export interface CheckedProxyOptions {
  prefixes: readonly string[];
  origins: Origins;
  hosts: Hosts;
  limits: RelayLimits;
  tokenKeys: TokenKeys | undefined;
  authorize: Authorize | undefined;
  admin: AuthorizeAdmin | undefined;
  trustedProxies: TrustedProxies;
  gateway: CheckedGatewayOptions | undefined;
  clock: Clock;
}

/** Throws a TypeError for an unknown option or one of a wrong type, and a RangeError for a value that cannot be. */
export function checkedProxyOptions(options: string | StreamServerProxyOptions = {}): CheckedProxyOptions {
  const given = typeof options === "string" ? { prefix: options } : options;
  const access = ["authorize", "admin", "trustedProxies"] as const;
  const names = ["prefix", "origins", "hosts", "limits", "tokenKeys", ...access, "gateway", "clock"] as const;
  const {
    prefix = "/browser-server",
    origins = [],
    hosts = "*",
    limits = {},
    tokenKeys,
    authorize,
    admin,
    trustedProxies = [],
    gateway,
    clock = systemClock,
  } = knownOptions("options of a relay", given, names);
  checkOrigins(origins);
  if (typeof clock?.now !== "function" || typeof clock.after !== "function") {
    throw new TypeError(`a clock has the functions now and after, and ${described(clock)} has not`);
  }
  for (const [name, policy] of Object.entries({ authorize, admin })) {
    if (policy === undefined || typeof policy === "function") continue;
    throw new TypeError(`${name} is a function, not ${described(policy)}`);
  }
  const prefixes = normalizedPrefixes(prefix);
  return {
    prefixes,
    origins,
    hosts: checkedHosts(hosts),
    limits: checkedLimits(limits),
    tokenKeys: tokenKeys === undefined ? undefined : checkedTokenKeys(tokenKeys),
    authorize,
    admin,
    trustedProxies: TrustedProxies.from(trustedProxies),
    gateway: gateway === undefined ? undefined : checkedGatewayOptions(gateway, prefixes),
    clock,
  };
}

/** Throws a TypeError for an unknown option, and a RangeError for a time that cannot be. */
export function checkedDrainTimeoutMs(options: DrainOptions = {}): number {
  const { timeoutMs = defaultDrainTimeoutMs } = knownOptions("options of drain", options, ["timeoutMs"]);
  if (Number.isInteger(timeoutMs) && timeoutMs >= 0 && timeoutMs <= maxTimerMs) return timeoutMs;
  throw new RangeError(`timeoutMs is a whole number from 0 to ${maxTimerMs}, not ${described(timeoutMs)}`);
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
