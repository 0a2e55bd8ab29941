import { Code } from "@connectrpc/connect";
import { Hop } from "../../gen/streamserver/v1/failure_pb.js";
import { StreamError } from "./stream-error.js";

/** Words for the values that an option takes, and whether it takes a value. */
export type OptionType = readonly [expected: string, takes: (value: unknown) => boolean];

export const wholeNumber: OptionType = [
  "a whole number above 0",
  (value) => Number.isSafeInteger(value) && (value as number) > 0,
];

/** A value of a type that `typeof` tells. */
export function primitive(type: "string" | "boolean"): OptionType {
  return [`a ${type}`, (value) => typeof value === type];
}

/** One of these texts. */
export function oneOf(...texts: string[]): OptionType {
  return [texts.map((text) => JSON.stringify(text)).join(" or "), (value) => texts.includes(value as string)];
}

/** An object with these methods, of whatever class and realm. */
export function objectWith(...methods: string[]): OptionType {
  return [
    `an object with ${methods.join(" and ")}`,
    (value) => methods.every((method) => typeof (value as Record<string, unknown> | null)?.[method] === "function"),
  ];
}

/**
 * Returns the options without those that are undefined, which mean the default.
 *
 * - Throws `invalid_argument` for a name that is not known, with the nearest one that is.
 * - Throws `invalid_argument` for a value that its option does not take.
 */
export function checkOptions<T extends object>(of: string, options: T, known: Readonly<Record<string, OptionType>>): T {
  if (typeof options !== "object" || options === null) throw invalidArgumentError(`${of} takes an object of options`);
  const given = Object.entries(options).filter(([, value]) => value !== undefined);
  for (const [name, value] of given) {
    if (!Object.hasOwn(known, name))
      throw invalidArgumentError(`${of} has no option ${name}: ${hint(name, Object.keys(known))}`);
    const [expected, takes] = known[name] as OptionType;
    if (!takes(value)) throw invalidArgumentError(`${name} of ${of} is ${expected}, not ${shown(value)}`);
  }
  return Object.fromEntries(given) as T;
}

/** The caller called with something that cannot be meant. */
export function invalidArgumentError(message: string): StreamError {
  return new StreamError(message, { code: Code.InvalidArgument, hop: Hop.CALLER });
}

function shown(value: unknown): string {
  return typeof value === "string" ? JSON.stringify(value) : typeof value === "object" ? "an object" : String(value);
}

/**
 * Says which known name is nearest, or all of them if none is near. A name is near if about half of its letters begin a
 * pair of neighbouring letters of the given one, whatever their case.
 */
export function hint(name: string, known: readonly string[]): string {
  const letters = name.toLowerCase();
  // Where two names share as many pairs, the shorter one is nearer.
  const shared = (each: string) =>
    [...letters].filter((_, at) => each.toLowerCase().includes(letters.slice(at, at + 2))).length - each.length / 99;
  const [nearest = ""] = [...known].sort((a, b) => shared(b) - shared(a));
  return shared(nearest) * 2 >= nearest.length - 1 ? `did you mean ${nearest}?` : `it has ${known.join(", ")}`;
}
