import { describe, expect, test } from "vitest";
import { compareUtf8, ListedNames } from "../../../../../server/relay/lease/listed-names.js";

/** Names of all lengths of UTF-8, and such that begin with others. */
const names = [
  "a",
  "a/",
  "a/b",
  "b",
  "é",
  "\uffff",
  "\ue000",
  "\u{1f600}",
  "\u{10ffff}",
  "a\u{1f600}",
  "a\uff5e",
  "\ud7ff",
];

/** Names in the order of their bytes. */
function sorted(unsorted: readonly string[]): string[] {
  return [...unsorted].sort((a, b) => Buffer.compare(Buffer.from(a), Buffer.from(b)));
}

test("compareUtf8 compares as the bytes of UTF-8 do", () => {
  for (const a of names) {
    for (const b of names) {
      expect(Math.sign(compareUtf8(a, b))).toBe(Buffer.compare(Buffer.from(a), Buffer.from(b)));
    }
  }
});

describe("ListedNames", () => {
  test("has each name once and in order, however names come and go", () => {
    const listed = new ListedNames();
    for (const name of [...names, ...names.toReversed()]) listed.add(name);
    expect([...listed.after("")]).toEqual(sorted(names));
    for (const name of ["b", "b", "unknown", "a"]) listed.delete(name);
    expect([...listed.after("")]).toEqual(sorted(names.filter((name) => name !== "a" && name !== "b")));
    listed.add("b");
    for (const name of names) if (name !== "a") listed.delete(name);
    expect([...listed.after("")]).toEqual([]);
  });

  test("yields the names of each prefix after each other text", () => {
    const listed = new ListedNames();
    for (const name of names) listed.add(name);
    for (const prefix of ["", ...names, "c"]) {
      const withPrefix = sorted(names).filter((name) => name.startsWith(prefix));
      expect([...listed.after(prefix)]).toEqual(withPrefix);
      for (const after of [...names, "a\u0000", "zz"]) {
        expect([...listed.after(prefix, after)]).toEqual(
          withPrefix.filter((name) => sorted([after, name])[0] !== name),
        );
      }
    }
  });
});
