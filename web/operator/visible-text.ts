/**
 * The rule for text from strangers that a person sees, in a terminal, a log, a warning or a page: a character is
 * hidden if it is not shown as itself. Hidden are controls (C0 and C1), format characters (bidi overrides, zero-width
 * joiners), line and paragraph separators, lone surrogates, private use, unassigned and default-ignorable characters,
 * and the blank Braille pattern, which Unicode counts as a symbol. The first alternative keeps emoji whole: their
 * joiners and selectors are seen, as one picture.
 */
const emojiOrHidden = String.raw`\p{RGI_Emoji}|([\p{C}\p{Zl}\p{Zp}\p{Default_Ignorable_Code_Point}\u2800])`;
/**
 * Made when it is first used, because that takes 20 ms. TypeScript refuses the flag in a literal for the target that
 * this package has.
 */
let emojiOrHiddenPattern: RegExp | undefined;

/** Replaces each hidden character of a text. */
export function replaceHidden(text: string, escaped: (hidden: string) => string): string {
  emojiOrHiddenPattern ??= new RegExp(emojiOrHidden, "gv");
  return text.replace(emojiOrHiddenPattern, (match, hidden?: string) =>
    hidden === undefined ? match : escaped(hidden),
  );
}

/** Text of a stranger's that is shown whole, with each hidden character as its number, such as "\u{202e}". */
export function shownText(text: string): string {
  return replaceHidden(text, (hidden) => `\\u{${hidden.codePointAt(0)?.toString(16)}}`);
}

/** Text for a person: on one line, with each other hidden character as its number. */
export function visibleText(text: string): string {
  return shownText(text.replace(/[\t\n\v\f\r]+/g, " ")).trim();
}

/** A text of JSON on one line, with each hidden character as an escape of JSON's own. */
export function jsonWithoutHidden(json: string): string {
  const escapeUnit = (unit: string) => `\\u${unit.charCodeAt(0).toString(16).padStart(4, "0")}`;
  return replaceHidden(json, (hidden) => hidden.split("").map(escapeUnit).join(""));
}
