import { existsSync } from "node:fs";
import { delimiter, join } from "node:path";

/** nginx's binary, which Debian keeps where only root's PATH looks. */
export function findNginx(): string | undefined {
  const folders = [...(process.env.PATH ?? "").split(delimiter), "/usr/sbin", "/usr/local/sbin"];
  return folders.map((folder) => join(folder, "nginx")).find((path) => existsSync(path));
}
