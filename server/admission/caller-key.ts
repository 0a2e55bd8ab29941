import { isIPv6 } from "node:net";
import type { Caller } from "./caller.js";

/**
 * Returns the key by which a caller is counted: its identity where the policy has verified one, and otherwise its
 * address. An IPv6 address counts by its first 64 bits, which is what one customer gets. Undefined for callers of this
 * process and of this machine about whom nothing is verified, who are not counted: a proxy on this machine speaks for
 * all of its callers, unless it is trusted to say who they are, which makes each of them one that is counted.
 */
export function callerKey(caller: Caller): string | undefined {
  const subject = caller.claims?.subject ?? "";
  return subject === "" ? addressKey(caller) : `identity ${subject}`;
}

/** The keys of callers, because a call asks for its caller's several times, and one of IPv6 takes microseconds. */
const keys = new WeakMap<Caller, { key: string | undefined }>();

/** Returns the key of a caller about whom nothing is verified yet. */
export function addressKey(caller: Caller): string | undefined {
  const known = keys.get(caller) ?? { key: keyOf(caller) };
  keys.set(caller, known);
  return known.key;
}

function keyOf({ address, door, isForwarded = false }: Caller): string | undefined {
  if (door === "local" || (isOfThisMachine(address) && !isForwarded)) return undefined;
  return `address ${isIPv6(address) ? networkOf(address) : address}`;
}

function isOfThisMachine(address: string): boolean {
  return address === "" || address === "::1" || address.startsWith("127.");
}

/** Returns the first 64 bits of an IPv6 address, with "::" where the rest was. */
function networkOf(address: string): string {
  const [head = "", tail] = address.split("::");
  const groups = head === "" ? [] : head.split(":");
  if (tail !== undefined) {
    const last = tail === "" ? [] : tail.split(":");
    while (groups.length + last.length < 8) groups.push("0");
    groups.push(...last);
  }
  const network = groups.slice(0, 4).map((group) => Number.parseInt(group, 16).toString(16));
  return `${network.join(":")}::`;
}
