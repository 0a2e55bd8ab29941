import { existsSync } from "node:fs";
import { delimiter, join } from "node:path";

const usualPaths = ["/usr/bin/chromium", "/usr/bin/chromium-browser"];
const usualNames = ["google-chrome", "google-chrome-stable", "chrome"];

/** Chromium's binary: the one that CHROMIUM names, or the first in the usual places. */
export function findChromium(): string | undefined {
  const named = process.env.CHROMIUM;
  if (named) return existsSync(named) ? named : undefined;
  const folders = (process.env.PATH ?? "").split(delimiter);
  const candidates = [...usualPaths, ...usualNames.flatMap((name) => folders.map((folder) => join(folder, name)))];
  return candidates.find((path) => existsSync(path));
}
