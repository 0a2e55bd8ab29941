import { replaceHidden } from "../../web/operator/visible-text.js";

/** A word that no shell changes: it has nothing that expands, separates or comments, at no place. */
const plainWord = /^[\p{L}\p{N}_@%+:,./\u{80}-\u{10ffff}-][\p{L}\p{N}_@%+:,./=^\u{80}-\u{10ffff}-]*$/u;
const wordEscapes: Record<string, string> = { "\n": "\\n", "\r": "\\r", "\t": "\\t" };

/**
 * Returns a name as bash, zsh and ksh read it back: as it is, in '…' if a shell takes some of it for its own, or
 * in $'…' if it has hidden characters. Hidden characters become octal escapes of their UTF-8, which mean the same in
 * every locale. Before a name that begins with a dash stands the `--` that ends the options.
 */
export function shellWord(name: string): string {
  const endOfOptions = name.startsWith("-") ? "-- " : "";
  const escaped = replaceHidden(name.replace(/[\\']/g, "\\$&"), (hidden) => wordEscapes[hidden] ?? octal(hidden));
  if (escaped !== name.replace(/[\\']/g, "\\$&")) return `${endOfOptions}$'${escaped}'`;
  const isPlain = plainWord.test(name) && !/\p{Z}/u.test(name);
  return endOfOptions + (isPlain ? name : `'${name.replaceAll("'", "'\\''")}'`);
}

function octal(text: string): string {
  return [...Buffer.from(text)].map((byte) => `\\${byte.toString(8).padStart(3, "0")}`).join("");
}
