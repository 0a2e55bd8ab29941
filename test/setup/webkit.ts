import { existsSync, readdirSync } from "node:fs";
import { delimiter, join } from "node:path";

const libraries = "/usr/lib";

function inPath(name: string): string | undefined {
  const folders = [...(process.env.PATH ?? "").split(delimiter), "/usr/bin"];
  return folders.map((folder) => join(folder, name)).find((path) => existsSync(path));
}

export const findWebKitDriver = () => inPath("WebKitWebDriver");
export const findXvfb = () => inPath("Xvfb");

/** WebKitGTK's own small browser, which Debian keeps beside the library, in a folder for each architecture. */
export function findMiniBrowser(): string | undefined {
  if (!existsSync(libraries)) return undefined;
  const paths = readdirSync(libraries).map((folder) => join(libraries, folder, "webkit2gtk-4.1/MiniBrowser"));
  return paths.find((path) => existsSync(path));
}
