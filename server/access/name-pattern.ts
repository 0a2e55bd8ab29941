import { isWellFormed } from "../../stream/platform/well-formed.js";
import { described } from "../admission/known-options.js";

/** One part of a pattern's segment: text as it is, at least one character of any kind, or the subject of the token. */
type SegmentPart = { kind: "text"; text: string } | { kind: "wildcard" } | { kind: "subject" };
/** A segment of a pattern; "any" stands for any number of segments, none included. */
type Segment = "any" | readonly SegmentPart[];

/** A test of the segments of a name. */
export type NameTest = (segments: readonly string[]) => boolean;
/** A test of one segment of a name; "any" stands for any number of segments, none included. */
type SegmentTest = "any" | ((text: string) => boolean);

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
    return this.testFor(subject)(name.split("/"));
  }

  /** Returns the pattern as a test for a token with this subject, which makes many names cheap. */
  testFor(subject: string | undefined): NameTest {
    const tests = this.#segments.map((segment) => (segment === "any" ? segment : segmentTest(segment, subject)));
    return (segments) => matchesAll(tests, segments);
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

function segmentTest(parts: readonly SegmentPart[], subject = ""): SegmentTest {
  const texts = [""];
  for (const part of parts) {
    if (part.kind === "wildcard") {
      texts.push("");
      continue;
    }
    const text = part.kind === "text" ? part.text : subject;
    const isNoSubject = part.kind === "subject" && (text === "" || text.includes("/"));
    // Half of a surrogate pair is no character, and must not match half of one in a name.
    if (isNoSubject || !isWellFormed(text)) return () => false;
    texts[texts.length - 1] += text;
  }
  const [head = "", ...rest] = texts;
  const tail = rest.pop();
  return tail === undefined ? (text) => text === head : (text) => matchesTexts(text, head, rest, tail);
}

/**
 * Whether a text begins with `head`, ends with `tail`, and has the texts of `middle` in this order between, each with
 * one character or more before it, and before `tail`. Each is taken where it comes first, because a later one leaves
 * less to those behind it.
 */
function matchesTexts(text: string, head: string, middle: readonly string[], tail: string): boolean {
  if (!text.startsWith(head) || !text.endsWith(tail)) return false;
  let at = head.length;
  for (const next of middle) {
    const found = text.indexOf(next, at + 1);
    if (found === -1) return false;
    at = found + next.length;
  }
  return text.length - tail.length > at;
}

/**
 * Matches segments with a pattern in at most `tests.length * segments.length` steps: only the last run that was passed
 * is tried with more segments, because an earlier one that took more would leave fewer to the same rest of the pattern.
 */
function matchesAll(tests: readonly SegmentTest[], segments: readonly string[]): boolean {
  let testAt = 0;
  let segmentAt = 0;
  let run: { testAt: number; segmentAt: number } | undefined;
  while (segmentAt < segments.length) {
    const test = tests[testAt];
    if (test === "any") {
      run = { testAt: testAt + 1, segmentAt };
      testAt += 1;
    } else if (test?.(segments[segmentAt] as string)) {
      testAt += 1;
      segmentAt += 1;
    } else if (run !== undefined) {
      run = { testAt: run.testAt, segmentAt: run.segmentAt + 1 };
      ({ testAt, segmentAt } = run);
    } else return false;
  }
  return tests.slice(testAt).every((test) => test === "any");
}
