import { BlockList, isIP, isIPv6 } from "node:net";
import { checkedHosts, hostNameOf } from "../../server/http/page/hosts.js";
import type { Hosts } from "../../server/index.js";
import { UsageError } from "../command/command.js";
import { shellWord } from "../terminal/shell-word.js";
import { machineNames } from "./machine-names.js";

/** The callers that reach a relay, and the names by which they do. */
export interface Exposure {
  /** The address that is listened on. Undefined: all interfaces. */
  host: string | undefined;
  /** The host in the addresses that are printed. Undefined: localhost, and this machine's addresses. */
  shownHost: string | undefined;
  /** The host names of the relay's own pages. */
  hosts: Hosts;
}

interface ExposureSettings {
  host?: string | undefined;
  open?: boolean | undefined;
  hostName?: readonly string[] | undefined;
  /** The names and addresses that the certificate of the port is for. Default none. */
  certificateNames?: readonly string[];
  /** Whether the relay has a policy, which says who may do what. Default false. */
  hasPolicy?: boolean;
}

/**
 * With nothing said, only this machine reaches the relay, and pages only by the names of this machine and of the
 * certificate: DNS rebinding takes another name, which is pointed at an address of this machine. Throws a `UsageError`
 * for names that are none, and for an address that other machines reach, unless the relay is open or has a policy.
 */
export function exposureOf(settings: ExposureSettings): Exposure {
  const { host, open = false, hostName, certificateNames = [], hasPolicy = false } = settings;
  // Without the text, which may be a URL with a password.
  if (host && isIP(host) === 0 && hostNameOf(host) === undefined) {
    throw new UsageError("--host takes an address or a name, and no URL");
  }
  const hosts = hostName === undefined ? ownHosts([host ?? "", ...certificateNames]) : givenHosts(hostName);
  if (!host) return { host: open ? undefined : "127.0.0.1", shownHost: open ? undefined : "localhost", hosts };
  if (!open && !hasPolicy) checkReach(host);
  return { host, shownHost: allInterfaces.includes(host) ? undefined : host, hosts };
}

/** Throws a `UsageError` for an address that other machines reach, which says in two lines what to do. */
export function checkReach(host: string): void {
  if (isLoopback(host)) return;
  throw new UsageError(
    `other machines reach ${shellWord(host)}, and this relay would keep nobody out`,
    "--secret-file secret lets in who has a token of `bss token --key secret`, and --open everybody who reaches it",
  );
}

/** The addresses that stand for all interfaces. No browser can go there. */
export const allInterfaces: readonly string[] = ["0.0.0.0", "::"];

const loopback = new BlockList();
loopback.addSubnet("127.0.0.0", 8, "ipv4");
loopback.addAddress("::1", "ipv6");

/**
 * Whether other machines do not reach a port at this address. A name other than "localhost" counts as reached, because
 * the system may resolve it to any address.
 */
export function isLoopback(host: string): boolean {
  // In a URL an address of IPv6 has brackets.
  const address = host.replace(/^\[(.*)\]$/, "$1");
  const version = isIP(address);
  if (version === 0) return host.toLowerCase() === "localhost";
  return loopback.check(address, version === 4 ? "ipv4" : "ipv6");
}

/**
 * Returns the names of this machine, and those others that are no pattern, as the names in a certificate may be. An
 * address with a zone, such as "fe80::1%eth0", is left out, because no page could be reached by it.
 */
function ownHosts(others: readonly string[]): Hosts {
  const isName = (name: string) => !name.includes("*") && hostNameOf(isIPv6(name) ? `[${name}]` : name) !== undefined;
  return checkedHosts([...machineNames(), ...others.filter(isName)]);
}

function givenHosts(names: readonly string[]): Hosts {
  try {
    if (!names.includes("*")) return checkedHosts(names);
    // Beside "*" other names have no effect, but a malformed one is a mistake all the same.
    const others = names.filter((name) => name !== "*");
    if (others.length > 0) checkedHosts(others);
    return "*";
  } catch (reason) {
    throw new UsageError((reason as Error).message);
  }
}
