import { describe, expect, test } from "vitest";
import { inputLines } from "../../../cli/mcp/input-lines.js";

async function linesOf(...chunks: (string | Uint8Array)[]): Promise<string[]> {
  async function* input() {
    for (const chunk of chunks) yield typeof chunk === "string" ? Buffer.from(chunk) : chunk;
  }
  const lines: string[] = [];
  for await (const line of inputLines(input(), 10)) lines.push(line);
  return lines;
}

describe("inputLines", () => {
  test("joins what came in parts, and leaves out empty lines and the ends", async () => {
    expect(await linesOf("a\nb", "c", "\r\n\n\r\n", "d\n")).toEqual(["a", "bc", "d"]);
    const euro = Buffer.from("€");
    expect(await linesOf(euro.subarray(0, 1), euro.subarray(1), "\n")).toEqual(["€"]);
  });

  test("has a last line without an end", async () => {
    expect(await linesOf("a\nb")).toEqual(["a", "b"]);
  });

  test("throws for a line that is too long, and for one that is no UTF-8", async () => {
    expect(await linesOf("0123456789\n0123456789")).toEqual(["0123456789", "0123456789"]);
    await expect(linesOf("01234", "567890")).rejects.toThrow(Error);
    await expect(linesOf(new Uint8Array([0xff, 0x0a]))).rejects.toThrow(Error);
  });
});
