import { hostname, networkInterfaces } from "node:os";

/** The addresses of this machine by which others on its networks reach it. */
export function networkAddresses(family: "IPv4" | "IPv6"): string[] {
  const addresses = Object.values(networkInterfaces()).flatMap((each) => each ?? []);
  // A link-local address of IPv6 is reached with the name of an interface only, which no URL of a browser has.
  const isReached = (address: (typeof addresses)[number]) => !address.internal && !address.address.startsWith("fe80:");
  return addresses.filter((each) => each.family === family && isReached(each)).map(({ address }) => address);
}

/**
 * The names and addresses by which browsers on this machine and on its networks reach it. Beside its own name a machine
 * is found as NAME.local, where no server knows the names of a network.
 */
export function machineNames(): string[] {
  const own = hostname().toLowerCase();
  const isName = /^[a-z0-9]([a-z0-9.-]*[a-z0-9])?$/.test(own);
  const names = !isName ? [] : own.includes(".") ? [own] : [own, `${own}.local`];
  const addresses = [...networkAddresses("IPv4"), ...networkAddresses("IPv6")];
  return [...new Set(["localhost", "127.0.0.1", "::1", ...names, ...addresses])];
}
