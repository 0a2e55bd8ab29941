import { expect, test } from "vitest";
import { UsageError } from "../../../cli/command/command.js";
import { checkGivenArguments } from "../../../cli/command/given-arguments.js";

const bytes = (...words: string[]) => words.map((word) => Buffer.from(word));

test.each([
  ["an argument with bytes that are no UTF-8", ["a\ufffd"], [Buffer.from([0x61, 0xff])]],
  ["one that may have had such bytes", ["a\ufffd"], undefined],
  ["a lone surrogate", ["a\ud83d"], bytes("a\ud83d")],
])("checkGivenArguments refuses %s", (_, args, given) => {
  expect(() => checkGivenArguments(args, given)).toThrow(UsageError);
});

test("checkGivenArguments lets U+FFFD pass where it was given, and all other text", () => {
  checkGivenArguments(["listen", "a\ufffd", "😀"], bytes("node", "main.js", "listen", "a\ufffd", "😀"));
  checkGivenArguments(["listen", "😀"], undefined);
});
