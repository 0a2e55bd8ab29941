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
    const nearest = nearestOf(name, known);
    const hint = nearest === undefined ? `there are ${known.join(", ")}` : `did you mean ${nearest}?`;
    throw new TypeError(`there is no ${JSON.stringify(name)} among the ${what}: ${hint}`);
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

/** The known name that differs least from `name`, unless more than a third of its letters differ. */
function nearestOf(name: string, known: readonly string[]): string | undefined {
  const [nearest] = known
    .map((each) => ({ each, distance: distanceOf(lettersOf(name), lettersOf(each)) }))
    .filter(({ each, distance }) => distance <= Math.max(1, each.length / 3))
    .sort((a, b) => a.distance - b.distance);
  return nearest?.each;
}

/** Spellings that differ in case, hyphens or underscores alone are the same. */
function lettersOf(name: string): string {
  return name.toLowerCase().replace(/[-_]/g, "");
}

/**
 * How many letters have to be inserted, left out or replaced to make one word of the other: the Levenshtein distance.
 */
function distanceOf(from: string, to: string): number {
  let row = Array.from({ length: to.length + 1 }, (_, index) => index);
  for (const [i, letter] of [...from].entries()) {
    const next = [i + 1];
    for (let j = 1; j <= to.length; j += 1) {
      const replaced = (row[j - 1] ?? 0) + (letter === to[j - 1] ? 0 : 1);
      next[j] = Math.min(replaced, (row[j] ?? 0) + 1, (next[j - 1] ?? 0) + 1);
    }
    row = next;
  }
  return row[to.length] ?? 0;
}
