/*
 * Text of other people is shown without the characters that nobody sees and that change how the rest reads: a
 * right-to-left override makes "fdp.exe" of "exe.pdf". Joiners stay, because Persian names and many emoji need them,
 * and so do Arabic signs that are seen although Unicode counts them among the format characters.
 */
const kept = "\\u200c|\\u200d|\\ufe0f|[\\u0600-\\u0605\\u06dd]";
const unseenBut = (kept: string) =>
  new RegExp(`(?!${kept})[\\p{Cc}\\p{Cf}\\p{Cs}\\p{Co}\\p{Default_Ignorable_Code_Point}]`, "gu");
const unseen = unseenBut(kept);
const unseenExceptBreaks = unseenBut(`${kept}|\\n|\\t`);
/** Spaces of every width, line breaks, and the blank pattern of Braille. */
const spaces = /[\s\u2800]+/gu;
/** Marks pile up on a letter until they cover the lines above; no language needs more than four. */
const piledMarks = /(\p{M}{4})\p{M}+/gu;
const seen = /(?!\u2800)[\p{L}\p{N}\p{P}\p{S}]/u;

const maxNameCodePoints = 40;
const maxFileNameCodePoints = 160;

/** One line of text, trimmed; empty if nothing of it can be seen. */
export function cleanLine(text: string): string {
  return ifSeen(text.replace(spaces, " ").replace(unseen, "").replace(piledMarks, "$1").normalize("NFC"));
}

/** Text of several lines; empty if nothing of it can be seen. */
export function cleanText(text: string): string {
  return ifSeen(text.replace(/\r\n?/g, "\n").replace(unseenExceptBreaks, "").replace(piledMarks, "$1"));
}

/** A person's name, of at most 40 code points. */
export function cleanName(text: string): string {
  return ifSeen(Array.from(cleanLine(text)).slice(0, maxNameCodePoints).join(""));
}

/** A file's name. The end of a long one is kept, because that is where its type stands. */
export function cleanFileName(text: string): string {
  return Array.from(cleanLine(text)).slice(-maxFileNameCodePoints).join("").trim() || "file";
}

function ifSeen(text: string): string {
  return seen.test(text) ? text.trim() : "";
}
