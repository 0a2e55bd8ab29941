import { randomBytes } from "node:crypto";
import { closeSync, fstatSync, linkSync, openSync, readFileSync, unlinkSync, writeFileSync } from "node:fs";
import { newTokenKey, tokenKeyBytes } from "../../server/relay/token-keys.js";
import { shellWord } from "../terminal/shell-word.js";
import { UsageError } from "./command.js";

export interface KeyFile {
  path: string;
  /** Whether the file was made just now. */
  isNew: boolean;
  /** The keys of the tokens, the one that signs first. */
  keys: Uint8Array[];
}

/** The bits of a mode that let the group or others in. Windows has no such bits. */
const foreignAccess = process.platform === "win32" ? 0 : 0o077;

const heading = "# Keys, one a line: the first signs, all verify. Keep them secret.\n";

/**
 * Reads the keys of tokens from a file, one a line; lines that begin with "#" are comments. Makes the file
 * with a new key if it is not there. Throws a `UsageError` for a file that cannot be made or read, that others have
 * access to, or that has a line which is no key.
 */
export function openKeyFile(path: string): KeyFile {
  let isNew = false;
  let text = readSecret(path);
  if (text === undefined) {
    isNew = makeKeyFile(path);
    text = readSecret(path);
  }
  if (text === undefined) throw new UsageError(`the key file ${path} cannot be read: it leads to no file`);
  return { path, isNew, keys: parseKeys(text, path) };
}

/** Returns the text of a file that nobody but its owner has access to. Returns undefined if there is no such file. */
export function readSecret(path: string): string | undefined {
  let file: number | undefined;
  try {
    file = openSync(path, "r");
    // The mode is that of the open file, and not that of another one by the same name.
    const mode = fstatSync(file).mode & 0o777;
    if ((mode & foreignAccess) === 0) return readFileSync(file, "utf8");
    const words = `others have access to the key file ${path}, whose mode is ${mode.toString(8)}`;
    throw new UsageError(`${words}: run chmod 600 ${shellWord(path)}`);
  } catch (reason) {
    if (reason instanceof UsageError) throw reason;
    if ((reason as NodeJS.ErrnoException).code === "ENOENT") return undefined;
    throw new UsageError(`the key file ${path} cannot be read: ${(reason as Error).message}`);
  } finally {
    if (file !== undefined) closeSync(file);
  }
}

/**
 * Makes the file whole or not at all, and never in place of another: the file is written under a name of its own and
 * then linked to its path. Returns false if somebody else has made the file meanwhile.
 */
function makeKeyFile(path: string): boolean {
  const draft = `${path}.${randomBytes(8).toString("hex")}`;
  try {
    writeFileSync(draft, `${heading}${newTokenKey()}\n`, { mode: 0o600, flag: "wx", flush: true });
    try {
      linkSync(draft, path);
    } finally {
      unlinkSync(draft);
    }
    return true;
  } catch (reason) {
    if ((reason as NodeJS.ErrnoException).code === "EEXIST") return false;
    throw new UsageError(`the key file ${path} cannot be made: ${(reason as Error).message}`);
  }
}

/**
 * Returns the keys in the text of a key file. Throws a `UsageError` for text without a key, or with a line that is
 * none.
 */
export function parseKeys(text: string, path: string): Uint8Array[] {
  if (text.includes("-----BEGIN")) {
    const words = `the key file ${path} is in PEM, and has to have random keys, one a line`;
    throw new UsageError(`${words}: a public key of access tokens is for --public-key`);
  }
  const keys: Uint8Array[] = [];
  for (const [index, line] of text.split("\n").entries()) {
    const key = line.trim();
    if (key === "" || key.startsWith("#")) continue;
    try {
      keys.push(tokenKeyBytes(key));
    } catch (reason) {
      throw new UsageError(`line ${index + 1} of the key file ${path} is no key: ${(reason as Error).message}`);
    }
  }
  if (keys.length > 0) return keys;
  throw new UsageError(`the key file ${path} has no key: remove it, and the next start makes one`);
}
