import { described } from "../admission/known-options.js";
import { NamePattern } from "./name-pattern.js";

/** The actions that need a right: to claim a name, to open a stream to it, and to see it in `List` and `Watch`. */
export const streamActions = ["listen", "connect", "list"] as const;
export type StreamAction = (typeof streamActions)[number];

/**
 * The actions that are allowed on names, by patterns of names: `{ "room/*": ["connect"], "user/{sub}/**": ["listen"]
 * }`. `*` is one segment of a name, `**` any number of segments, and `{sub}` the subject of the token.
 */
export type StreamRights = Readonly<Record<string, readonly StreamAction[]>>;

/** A token has at most 8 KiB, so this is far beyond what a person writes, and bounds the work of a check. */
const maxPatterns = 64;

interface CheckedPattern {
  pattern: NamePattern;
  actions: ReadonlySet<StreamAction>;
}

/** Rights whose patterns are parsed. */
export class CheckedRights {
  readonly #patterns: readonly CheckedPattern[];

  private constructor(patterns: readonly CheckedPattern[]) {
    this.#patterns = patterns;
  }

  /** Throws a TypeError or RangeError for a value that is no map from patterns to lists of actions. */
  static from(rights: unknown): CheckedRights {
    if (typeof rights !== "object" || rights === null || Array.isArray(rights)) {
      throw new TypeError(`rights are a map from patterns of names to lists of actions, not ${described(rights)}`);
    }
    const entries = Object.entries(rights);
    if (entries.length > maxPatterns) {
      throw new RangeError(`rights have at most ${maxPatterns} patterns of names, not ${entries.length}`);
    }
    return new CheckedRights(
      entries.map(([text, actions]) => ({ pattern: NamePattern.parse(text), actions: checkedActions(text, actions) })),
    );
  }

  /** Whether the rights allow an action on a name, for a token with this subject. */
  allow(action: StreamAction, name: string, subject: string | undefined): boolean {
    return this.#patterns.some(({ pattern, actions }) => actions.has(action) && pattern.matches(name, subject));
  }

  /** Returns the same as a test of names, which makes many of them cheap. */
  testFor(action: StreamAction, subject: string | undefined): (name: string) => boolean {
    const tests = this.#patterns
      .filter(({ actions }) => actions.has(action))
      .map(({ pattern }) => pattern.testFor(subject));
    return (name) => {
      const segments = name.split("/");
      return tests.some((test) => test(segments));
    };
  }

  /** Whether the rights allow an action on any name at all. */
  allowSome(action: StreamAction): boolean {
    return this.#patterns.some(({ actions }) => actions.has(action));
  }
}

function checkedActions(pattern: string, actions: unknown): ReadonlySet<StreamAction> {
  if (!Array.isArray(actions)) {
    throw new TypeError(`the rights to ${described(pattern)} are a list, not ${described(actions)}`);
  }
  const unknown: unknown = actions.find((action) => !streamActions.includes(action));
  if (unknown === undefined) return new Set(actions as StreamAction[]);
  const known = streamActions.join(", ");
  throw new RangeError(`the rights to ${described(pattern)} are of ${known}, and ${described(unknown)} is none`);
}
