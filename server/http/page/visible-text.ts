/**
 * The rule of pages, the command and its log for text from strangers: a character is hidden if a terminal does not show
 * it as itself. Hidden are controls (C0 and C1), format characters (bidi overrides, zero-width joiners), line and
 * paragraph separators, lone surrogates, private use, unassigned and default-ignorable characters, and the blank Braille
 * pattern, which Unicode counts as a symbol. The first alternative keeps emoji whole: their joiners and selectors are
 * seen, as one picture.
 */
const emojiOrHidden = String.raw`\p{RGI_Emoji}|([\p{C}\p{Zl}\p{Zp}\p{Default_Ignorable_Code_Point}\u2800])`;
/** TypeScript refuses the flag in a literal for the target that this package has. */
const emojiOrHiddenPattern = new RegExp(emojiOrHidden, "gv");

/** Returns the text with something in place of each hidden character. */
export function replaceHidden(text: string, escaped: (hidden: string) => string): string {
  return text.replace(emojiOrHiddenPattern, (match, hidden?: string) =>
    hidden === undefined ? match : escaped(hidden),
  );
}

/** Text for a person: on one line, with each other hidden character as its number, such as "\u{202e}". */
export function visibleText(text: string): string {
  return replaceHidden(text.replace(/[\t\n\v\f\r]+/g, " "), (hidden) => {
    return `\\u{${hidden.codePointAt(0)?.toString(16)}}`;
  }).trim();
}
