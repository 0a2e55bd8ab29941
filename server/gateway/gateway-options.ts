import { isIP } from "node:net";
import { described, knownOptions } from "../admission/known-options.js";
import { checkedHosts } from "../http/page/hosts.js";

/**
 * Where the gateway finds the name of a listener in a request.
 *
 * - `{ by: "path" }`: `https://relay.example/~/NAME/…`. All names share one origin, so answers are sandboxed and no
 *   cookies pass.
 * - `{ by: "host", host: "relay.example" }`: `https://NAME.relay.example/…`. Each name is an origin of its own. All
 *   hosts one label below `host` lead to this server. Where the server has several names, it is a list.
 */
export type GatewayOptions = ({ by: "path" } | { by: "host"; host: string | readonly string[] }) & {
  /**
   * Whether a browser that goes to a name for the first time in a day is shown a page that says where it goes. Default
   * false.
   */
  interstitial?: boolean | undefined;
};

/** The options of a gateway, checked and complete. */
export type CheckedGatewayOptions = ({ by: "path" } | { by: "host"; hosts: readonly string[] }) & {
  interstitial: boolean;
};

/** The first part of the paths of the gateway, where it goes by path. */
export const gatewayPath = "/~/";
/** The first part of the paths of the gateway's own, by path and by host: `/~visit/NAME/…`. */
export const visitPath = "/~visit/";

const ownPaths = [gatewayPath, visitPath];

/** Throws a TypeError for an unknown option or one of a wrong type, and a RangeError for a value that cannot be. */
export function checkedGatewayOptions(options: unknown, prefixes: readonly string[]): CheckedGatewayOptions {
  const given = options as { by?: unknown; host?: unknown; interstitial?: unknown };
  const names = ["by", "host", "interstitial"] as const;
  const { by, host, interstitial = false } = knownOptions("options of a gateway", given, names);
  if (typeof interstitial !== "boolean") {
    throw new TypeError(`interstitial of a gateway is true or false, not ${described(interstitial)}`);
  }
  const shadowed = prefixes.find((prefix) => ownPaths.some((path) => `${prefix}/`.startsWith(path)));
  if (shadowed !== undefined) throw new RangeError(`the prefix ${JSON.stringify(shadowed)} is the gateway's`);
  if (by === "host") return { by, hosts: checkedNames(host), interstitial };
  if (by !== "path") throw new RangeError(`a gateway goes by "path" or by "host", not ${described(by)}`);
  if (host !== undefined) throw new RangeError("a gateway by path has no host of its own");
  return { by, interstitial };
}

function checkedNames(host: unknown): readonly string[] {
  const hosts = host === "*" ? host : checkedHosts(Array.isArray(host) ? host : [host]);
  // There are no hosts below an address.
  if (hosts !== "*" && hosts.every((name) => isIP(name.replace(/^\[(.*)\]$/, "$1")) === 0)) return hosts;
  throw new RangeError(`the host of a gateway is a name such as "relay.example", not ${described(host)}`);
}
