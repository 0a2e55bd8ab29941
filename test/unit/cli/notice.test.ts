import { expect, test, vi } from "vitest";
import { notice, wordsFor } from "../../../cli/terminal/notice.js";

test("wordsFor is never empty: an error without a message has others behind it, a code, or a name", () => {
  const refused = ["::1", "127.0.0.1"].map((address) => new Error(`connect ECONNREFUSED ${address}:80`));
  expect(wordsFor(new AggregateError(refused))).toBe("connect ECONNREFUSED ::1:80, connect ECONNREFUSED 127.0.0.1:80");
  expect(wordsFor(Object.assign(new AggregateError([]), { code: "ECONNREFUSED" }))).toBe("ECONNREFUSED");
  expect(wordsFor(new RangeError())).toBe("RangeError");
});

test("notice prints no password, and no character that a terminal does not show", () => {
  const write = vi.spyOn(process.stderr, "write").mockReturnValue(true);
  notice('no command "wss://u:s3/cr@et@host"\u202e, nor\nhttp://host');
  expect(write.mock.calls).toEqual([['bss: no command "wss://…@host"\\u{202e}, nor http://host\n']]);
  write.mockRestore();
});
