import { readFileSync } from "node:fs";
import { UsageError } from "./command.js";

const replacementCharacter = "\ufffd";

/**
 * Returns a name, or the beginning of names, from the command line. Throws a `UsageError` if it is not the text that was given
 * to the program: Node replaces bytes that are no UTF-8 by U+FFFD, and a lone surrogate is replaced on the way to the relay.
 */
export function checkNameArgument(name: string, args: ReadonlyArray<Buffer> | undefined = rawArguments()): string {
  if (/\p{Cs}/u.test(name)) throw new UsageError(`${JSON.stringify(name)} has half a surrogate pair`);
  if (!name.includes(replacementCharacter)) return name;
  const isGiven = args?.some((bytes) => bytes.equals(Buffer.from(name)));
  if (!isGiven) throw new UsageError(`${JSON.stringify(name)} is not valid UTF-8 as it was given`);
  return name;
}

/** The program's arguments as the system has them; undefined where the system does not tell. */
function rawArguments(): Buffer[] | undefined {
  try {
    const words = readFileSync("/proc/self/cmdline").toString("latin1").split("\0");
    return words.map((word) => Buffer.from(word, "latin1"));
  } catch {
    return undefined;
  }
}
