import fc from "fast-check";
import { describe, expect, test } from "vitest";
import { maxPatternSegments, NamePattern } from "../../../../server/access/name-pattern.js";

describe("NamePattern.matches", () => {
  test.each([
    ["room/42", "room/42", true],
    ["room/42", "room/421", false],
    ["room/42", "room", false],
    ["room/*", "room/42", true],
    ["room/*", "room/", false],
    ["room/*", "room/42/a", false],
    ["room/*", "Room/42", false],
    ["room/*-log", "room/42-log", true],
    ["room/*-log", "room/-log", false],
    ["room-*", "room-1-2", true],
    ["a*b*c", "axbxbxc", true],
    ["a*b*c", "axbxb", false],
    ["*", "room/42", false],
    ["**", "room/42", true],
    ["**", "", true],
    ["user/**", "user", true],
    ["user/**", "user/a/b/c", true],
    ["user/**", "users", false],
    ["**/log", "a/b/log", true],
    ["**/log", "a/b/log/c", false],
    ["a/**/b/**/c", "a/b/x/b/c", true],
    ["a/**/b/**/c", "a/x/y/c", false],
    ["a.c", "abc", false],
    ["{name}", "{name}", true],
    ["é", "e\u0301", false],
    ["a*b*c", "abbc", false],
    ["a*b*b", "axbxb", true],
    ["a*a", "aa", false],
    ["a*", "a\u{1f600}", true],
    ["\ud83d*", "\u{1f600}", false],
    ["*\ude00", "x\u{1f600}", false],
  ])("%j and the name %j: %s", (pattern, name, expected) => {
    expect(NamePattern.parse(pattern).matches(name, undefined)).toBe(expected);
  });

  test.each([
    ["user/{sub}/**", "user/ann/a", "ann", true],
    ["user/{sub}/**", "user/bob/a", "ann", false],
    ["user/{sub}/**", "user/{sub}/a", "ann", false],
    ["user-{sub}-*", "user-ann-1", "ann", true],
    ["{sub}", "*", "*", true],
    ["{sub}", "ann", "*", false],
    ["{sub}/x", "a/b/x", "a/b", false],
    ["{sub}", "", "", false],
    ["{sub}", "undefined", undefined, false],
    ["a*{sub}*", "a-ann-", "ann", true],
    ["*{sub}*", "ann", "ann", false],
    ["\ud83d{sub}", "\u{1f600}", "\ude00", false],
  ])("%j and the name %j, for the subject %j: %s", (pattern, name, subject, expected) => {
    expect(NamePattern.parse(pattern).matches(name, subject)).toBe(expected);
  });

  test("agrees with a regular expression for random patterns and names", () => {
    const segment = fc.stringMatching(/^[ab*]{0,4}$/).map((text) => text.replace(/\*+/g, "*"));
    const pattern = fc.array(fc.oneof(segment, fc.constant("**")), { minLength: 1, maxLength: 5 });
    const name = fc.array(fc.stringMatching(/^[ab]{0,4}$/), { minLength: 1, maxLength: 5 });
    fc.assert(
      fc.property(pattern, name, (segments, names) => {
        // Each segment is followed by a "/", so that "**" may be none.
        const source = segments
          .map((text) => (text === "**" ? "([^/]*/)*" : `${text.replaceAll("*", "[^/]+")}/`))
          .join("");
        const expected = new RegExp(`^${source}$`).test(`${names.join("/")}/`);
        expect(NamePattern.parse(segments.join("/")).matches(names.join("/"), undefined)).toBe(expected);
      }),
      { numRuns: 3_000 },
    );
  });

  test("takes no more steps than the lengths multiplied, for a pattern and a name made to be slow", () => {
    const pattern = NamePattern.parse(`${"*a".repeat(200)}b`);
    const begin = performance.now();
    for (let run = 0; run < 20; run += 1) expect(pattern.matches("a".repeat(4_096), undefined)).toBe(false);
    expect((performance.now() - begin) / 20).toBeLessThan(200);
  });
});

test.each([
  "a**",
  "a/**b",
  "***",
  Array(maxPatternSegments + 1)
    .fill("a")
    .join("/"),
])("NamePattern.parse refuses %j", (text) => {
  expect(() => NamePattern.parse(text)).toThrow(RangeError);
});
