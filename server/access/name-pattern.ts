import { described } from "../admission/known-options.js";

/** One part of a pattern's segment: text as it is, at least one character of any kind, or the subject of the token. */
type SegmentPart = { kind: "text"; text: string } | { kind: "wildcard" } | { kind: "subject" };
/** A segment of a pattern; "any" stands for any number of segments, none included. */
type Segment = "any" | readonly SegmentPart[];

/** A token has at most 8 KiB, so this is far beyond a pattern that a person writes, and bounds the work of a match. */
export const maxPatternSegments = 32;

/**
 * A pattern of names. Names and patterns have segments, which are separated by "/".
 *
 * - `*` is one segment, or as a part of a segment one character or more: `room/*`, `room/*-log`.
 * - `**` as a whole segment is any number of segments, none included: `user/**` matches "user" and "user/a/b".
 * - `{sub}` is the subject of the token. A subject that is empty or contains a "/" matches nothing, so that no subject
 *   reaches into the names of another one.
 *
 * Every other character stands for itself. Names are compared as they are: case and Unicode forms count.
 */
export class NamePattern {
  readonly #segments: readonly Segment[];

  private constructor(segments: readonly Segment[]) {
    this.#segments = segments;
  }

  /** Throws a RangeError for text that is no pattern. */
  static parse(text: string): NamePattern {
    const segments = text.split("/");
    if (segments.length > maxPatternSegments) {
      throw new RangeError(`a pattern of names has at most ${maxPatternSegments} segments, not ${segments.length}`);
    }
    return new NamePattern(segments.map((segment) => parsedSegment(segment, text)));
  }

  /** Whether the name matches, for a token with this subject. */
  matches(name: string, subject: string | undefined): boolean {
    return matchesAll(this.#segments, name.split("/"), {
      isRun: (segment) => segment === "any",
      isMatch: (segment, text) => segment !== "any" && matchesSegment(segment, text, subject),
    });
  }
}

function parsedSegment(segment: string, pattern: string): Segment {
  if (segment === "**") return "any";
  if (segment.includes("**")) {
    throw new RangeError(
      `"**" is a whole segment of a pattern of names, and not part of one as in ${described(pattern)}`,
    );
  }
  const parts = segment.split(/(\*|\{sub\})/).filter((part) => part !== "");
  return parts.map((part): SegmentPart => {
    if (part === "*") return { kind: "wildcard" };
    return part === "{sub}" ? { kind: "subject" } : { kind: "text", text: part };
  });
}

/** A character that a segment's pattern asks for; "any" is one of any kind, and "run" any number of them. */
type CharacterPattern = string | { any: "one" | "run" };

function matchesSegment(parts: readonly SegmentPart[], text: string, subject: string | undefined): boolean {
  const characters: CharacterPattern[] = [];
  for (const part of parts) {
    if (part.kind === "wildcard") characters.push({ any: "one" }, { any: "run" });
    else if (part.kind === "text") characters.push(...part.text);
    else if (subject === undefined || subject === "" || subject.includes("/")) return false;
    else characters.push(...subject);
  }
  return matchesAll(characters, [...text], {
    isRun: (pattern) => typeof pattern === "object" && pattern.any === "run",
    isMatch: (pattern, character) => (typeof pattern === "object" ? pattern.any === "one" : pattern === character),
  });
}

interface Matching<P> {
  /** Whether a part of the pattern stands for any number of items. */
  isRun(pattern: P): boolean;
  /** Whether any other part of the pattern stands for this item. */
  isMatch(pattern: P, item: string): boolean;
}

/**
 * Matches items with a pattern in at most `pattern.length * items.length` steps: only the last run that was passed is
 * tried with more items, because an earlier one that took more would leave fewer to the same rest of the pattern.
 */
function matchesAll<P>(pattern: readonly P[], items: readonly string[], { isRun, isMatch }: Matching<P>): boolean {
  let patternAt = 0;
  let itemAt = 0;
  let run: { patternAt: number; itemAt: number } | undefined;
  while (itemAt < items.length) {
    const part = pattern[patternAt];
    const item = items[itemAt] as string;
    if (part !== undefined && isRun(part)) {
      run = { patternAt: patternAt + 1, itemAt };
      patternAt += 1;
    } else if (part !== undefined && isMatch(part, item)) {
      patternAt += 1;
      itemAt += 1;
    } else if (run !== undefined) {
      run = { patternAt: run.patternAt, itemAt: run.itemAt + 1 };
      ({ patternAt, itemAt } = run);
    } else return false;
  }
  return pattern.slice(patternAt).every(isRun);
}
