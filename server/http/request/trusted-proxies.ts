import { BlockList, isIP, isIPv6 } from "node:net";
import { described } from "../../admission/known-options.js";

/** The address of a caller, and whether proxies have a say in it. */
export interface CallerAddress {
  address: string;
  /** Whether a trusted proxy has brought the request of somebody else, well named or not. */
  isForwarded: boolean;
}

/** The proxies in front of the relay, which tell in `X-Forwarded-For` who asks them. */
export class TrustedProxies {
  readonly #proxies: BlockList;

  constructor(proxies: BlockList = new BlockList()) {
    this.#proxies = proxies;
  }

  /**
   * Makes it from a list of addresses and of subnets, such as "10.0.0.0/8". Throws a TypeError for anything that is no
   * list, and a RangeError for an entry that is neither.
   */
  static from(list: unknown): TrustedProxies {
    if (!Array.isArray(list)) throw new TypeError(`trustedProxies is a list of addresses, not ${described(list)}`);
    const proxies = new BlockList();
    for (const entry of list) {
      const [address = "", bits, ...more] = typeof entry === "string" ? entry.split("/") : [];
      const version = isIP(address);
      const maxBits = version === 4 ? 32 : 128;
      const prefix = bits === undefined ? maxBits : /^\d{1,3}$/.test(bits) ? Number(bits) : Number.NaN;
      if (version === 0 || more.length > 0 || !(prefix <= maxBits)) {
        throw new RangeError(
          `a trusted proxy is an address or a subnet, such as "10.0.0.0/8", not ${described(entry)}`,
        );
      }
      proxies.addSubnet(address, prefix, version === 4 ? "ipv4" : "ipv6");
    }
    return new TrustedProxies(proxies);
  }

  /**
   * Returns the address of a caller, from that of its connection and its `X-Forwarded-For`. Each proxy adds the address
   * that it was asked from at the end of the header, so it is read from there, as long as proxies are trusted; what
   * stands before was written by somebody else. An entry that is no address ends the reading, and the caller has the
   * address of the proxy that wrote it.
   */
  addressOf(connectionAddress: string, forwardedFor: string | readonly string[] | undefined): CallerAddress {
    let address = plainAddress(connectionAddress);
    const isForwarded = forwardedFor !== undefined && this.includes(address);
    const entries = isForwarded ? String(forwardedFor).split(",") : [];
    while (this.includes(address)) {
      const next = plainAddress(entries.pop()?.trim() ?? "");
      if (isIP(next) === 0) break;
      address = next;
    }
    return { address, isForwarded };
  }

  /** Whether an address is that of a trusted proxy. */
  includes(address: string): boolean {
    const version = isIP(address);
    return version !== 0 && this.#proxies.check(address, version === 4 ? "ipv4" : "ipv6");
  }
}

/** Returns an address without a port, brackets and zone, and one of IPv4 that is written in IPv6 as that of IPv4. */
export function plainAddress(text: string): string {
  const withoutPort = /^\[(.*)\](?::\d+)?$/.exec(text)?.[1] ?? /^([\d.]+):\d+$/.exec(text)?.[1] ?? text;
  const [withoutZone = ""] = withoutPort.split("%");
  return (
    /^::ffff:([\d.]+)$/i.exec(withoutZone)?.[1] ?? (isIPv6(withoutZone) ? withoutMapping(withoutZone) : withoutZone)
  );
}

/** IPv4 in IPv6 has many spellings, such as "::ffff:7f00:1". A URL has one for each address. */
function withoutMapping(address: string): string {
  const { hostname } = new URL(`http://[${address}]`);
  const [, high, low] = /^\[::ffff:([\da-f]+):([\da-f]+)\]$/.exec(hostname) ?? [];
  if (high === undefined || low === undefined) return address;
  const [upper, lower] = [Number.parseInt(high, 16), Number.parseInt(low, 16)];
  return [upper >> 8, upper & 255, lower >> 8, lower & 255].join(".");
}
