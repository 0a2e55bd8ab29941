/**
 * Returns whether a value is a string that has no half of a surrogate pair, which UTF-8 cannot carry. Text on the wire
 * is UTF-8, and an encoder replaces such a half without a word.
 */
export function isWellFormed(text: unknown): text is string {
  if (typeof text !== "string") return false;
  // Browsers have the method since 2023; the expression takes eight times as long where a text is not Latin-1.
  return (text as { isWellFormed?(): boolean }).isWellFormed?.() ?? !/\p{Surrogate}/u.test(text);
}
