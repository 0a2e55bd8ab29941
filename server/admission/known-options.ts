import { hint } from "../../stream/error/options.js";

/**
 * Returns the options that are set: one that is `undefined` counts as left out. Throws a TypeError for options that are
 * no object, and for a name that there is none of; the message says which name is nearest. `what` is what the options
 * are of.
 */
export function knownOptions<T extends object>(what: string, options: T, known: readonly (keyof T & string)[]): T {
  if (typeof options !== "object" || options === null || Array.isArray(options)) {
    throw new TypeError(`the ${what} are an object, not ${described(options)}`);
  }
  for (const name of Object.keys(options)) {
    if ((known as readonly string[]).includes(name)) continue;
    throw new TypeError(`there is no ${JSON.stringify(name)} among the ${what}: ${hint(name, known)}`);
  }
  return Object.fromEntries(Object.entries(options).filter(([, value]) => value !== undefined)) as T;
}

/** A value in an error's message: text in quotation marks, objects by their kind. */
export function described(value: unknown): string {
  if (typeof value === "string") return JSON.stringify(value);
  if (typeof value === "function") return "a function";
  if (Array.isArray(value)) return "a list";
  return typeof value === "object" && value !== null ? "an object" : String(value);
}
