import { readFileSync } from "node:fs";
import { UsageError } from "./command.js";

const replacementCharacter = "\ufffd";

/**
 * Throws a `UsageError` if an argument is not the text that was given to the program, which has then another name, or
 * file, in its place: Node replaces bytes that are no UTF-8 by U+FFFD, and a lone surrogate is replaced on its way to
 * the relay.
 */
export function checkGivenArguments(
  args: readonly string[],
  given: readonly Buffer[] | undefined = givenBytes(),
): void {
  for (const argument of args) {
    if (/\p{Cs}/u.test(argument)) throw new UsageError(`${JSON.stringify(argument)} has half a surrogate pair`);
    if (!argument.includes(replacementCharacter)) continue;
    const isGiven = given?.some((bytes) => bytes.equals(Buffer.from(argument)));
    if (!isGiven) throw new UsageError(`${JSON.stringify(argument)} is not valid UTF-8 as it was given`);
  }
}

/** The program's arguments as the system has them; undefined where the system does not tell. */
function givenBytes(): Buffer[] | undefined {
  try {
    const words = readFileSync("/proc/self/cmdline").toString("latin1").split("\0");
    return words.map((word) => Buffer.from(word, "latin1"));
  } catch {
    return undefined;
  }
}
