import { existsSync } from "node:fs";
import { delimiter, join } from "node:path";

/** The reverse proxies that docs/deploy.md has a configuration for, by the names of their programs. */
export const proxyPrograms = ["nginx", "caddy", "haproxy"] as const;

export type ProxyProgram = (typeof proxyPrograms)[number];

/** A proxy's binary, which Debian keeps where only root's PATH looks. */
export function findProxy(name: ProxyProgram): string | undefined {
  const folders = [...(process.env.PATH ?? "").split(delimiter), "/usr/bin", "/usr/sbin", "/usr/local/sbin"];
  return folders.map((folder) => join(folder, name)).find((path) => existsSync(path));
}
