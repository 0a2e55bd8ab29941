import { execFileSync } from "node:child_process";
import { describe, expect, test } from "vitest";
import { shellWord } from "../../../cli/terminal/shell-word.js";
import { jsonWithoutHidden, visibleText } from "../../../web/operator/visible-text.js";

/** Characters that a terminal does not show as themselves, one of each kind. */
const hidden = {
  "a control of C0": "\u001b",
  "a control of C1": "\u009b",
  "a bidi override": "\u202e",
  "a bidi isolate": "\u2066",
  "a mark of direction": "\u061c",
  "a line separator": "\u2028",
  "a paragraph separator": "\u2029",
  "a line feed": "\n",
  "a zero-width space": "\u200b",
  "a joiner without an emoji": "\u200d",
  "a byte order mark": "\ufeff",
  "a soft hyphen": "\u00ad",
  "a Hangul filler": "\u3164",
  "a blank Braille pattern": "\u2800",
  "a variation selector without an emoji": "\ufe0f",
  "a tag": "\u{e0041}",
  "a private character": "\ue000",
  "a character that is unassigned": "\u0378",
};

/** Names that a person reads as they are. */
const ordinary = ["photos", "a/b:c@d.example,1+2=3%_^", "tür", "名前", "नमस्ते", "שלום", "👩‍👩‍👧", "❤️", "🏴󠁧󠁢󠁥󠁮󠁧󠁿", "e\u0301"];

const special = [
  "a b",
  "it's",
  "$HOME",
  "`id`",
  "a\\b",
  "*",
  "~",
  "a=~",
  "#1",
  "=ls",
  "a;b",
  '"',
  "!!",
  "{a,b}",
  "a\u3000b",
  "^a",
];

const hasHidden = (text: string) => Object.values(hidden).some((character) => text.includes(character));

/** The words that bash makes of a line. */
function wordsOfBash(line: string, locale: string): string[] {
  const script = `printf '%s\\0' ${line}`;
  const printed = execFileSync("bash", ["-c", script], { env: { ...process.env, LC_ALL: locale } });
  return printed.toString().split("\0").slice(0, -1);
}

describe.each(Object.entries(hidden))("%s", (_, character) => {
  const text = `invoice${character}fdp.exe`;

  test("is not printed by visibleText, shellWord and jsonWithoutHidden", () => {
    for (const shown of [visibleText(text), shellWord(text), jsonWithoutHidden(JSON.stringify({ text }))])
      expect(hasHidden(shown)).toBe(false);
  });

  test("is still there for those who read the word or the JSON", () => {
    expect(JSON.parse(jsonWithoutHidden(JSON.stringify({ text })))).toEqual({ text });
    for (const locale of ["C", "C.UTF-8"]) expect(wordsOfBash(shellWord(text), locale)).toEqual([text]);
  });
});

test("a lone surrogate is not printed by visibleText and jsonWithoutHidden", () => {
  expect(visibleText("a\ud83d!")).toBe("a\\u{d83d}!");
  expect(jsonWithoutHidden(JSON.stringify("a\ud83d!"))).toBe('"a\\ud83d!"');
});

test.each(ordinary)("%s stays as it is", (name) => {
  expect([shellWord(name), visibleText(name), jsonWithoutHidden(JSON.stringify(name))]).toEqual([
    name,
    name,
    `"${name}"`,
  ]);
  expect(wordsOfBash(shellWord(name), "C.UTF-8")).toEqual([name]);
});

test.each(special)("%s is one word for a shell", (name) => {
  expect(shellWord(name)).not.toBe(name);
  for (const shell of ["bash", "sh"]) {
    expect(execFileSync(shell, ["-c", `printf %s ${shellWord(name)}`]).toString()).toBe(name);
  }
  expect(wordsOfBash(shellWord(`${name}\u202e`), "C")).toEqual([`${name}\u202e`]);
});

test("shellWord ends the options before a name that begins with a dash", () => {
  expect([shellWord("-h"), shellWord("- -")]).toEqual(["-- -h", "-- '- -'"]);
  expect(wordsOfBash(shellWord("-\u202e"), "C")).toEqual(["--", "-\u202e"]);
});
