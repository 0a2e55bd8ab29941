// Runs in every Node that knows ES modules, so it imports nothing and keeps to the syntax of its time.

/** For the shell: the program has not begun, because this Node is not one that it is made for. */
export const unsupportedNodeExitCode = 8;

/**
 * Returns whether a version satisfies a range of the kind that `engines` in package.json has: alternatives between
 * "||", each "^1.2.3" (of this major version, from there on) or ">=1.2.3".
 */
export function isSupportedNode(version: string, range: string): boolean {
  const numbers = parseVersion(version);
  return range.split("||").some((alternative) => {
    const from = parseVersion(alternative);
    const isSameMajor = numbers[0] === from[0];
    if (alternative.trim().startsWith("^") && !isSameMajor) return false;
    return compare(numbers, from) >= 0;
  });
}

/** "^22.23.2 || >=24.18.1" in words. */
export function wordsForRange(range: string): string {
  const alternatives = range.split("||").map((alternative) => {
    const from = parseVersion(alternative).join(".");
    return alternative.trim().startsWith("^")
      ? `${from} or a later ${parseVersion(alternative)[0]}`
      : `${from} or later`;
  });
  return alternatives.join(", or ");
}

function parseVersion(text: string): number[] {
  return text
    .replace(/^[^0-9]*/, "")
    .split(/[^0-9]/, 3)
    .map(Number);
}

function compare(a: number[], b: number[]): number {
  for (let index = 0; index < 3; index += 1) {
    const difference = (a[index] || 0) - (b[index] || 0);
    if (difference !== 0) return difference;
  }
  return 0;
}
