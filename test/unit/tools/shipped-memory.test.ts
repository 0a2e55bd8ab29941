import { readFile } from "node:fs/promises";
import { describe, expect, test } from "vitest";
import { defaultLimits } from "../../../server/admission/limits.js";
import { mebibyte } from "../../security/attack.js";
import { slowReaderBytes } from "../../security/slow-reader-bytes.js";

const kibibyte = 1_024;
const { maxNames, maxStreams, maxStreamsPerCaller } = defaultLimits;
/** A process of Node with the relay's code. */
const emptyBytes = 80 * mebibyte;
/** A name with its connection takes 45 KiB, and a stream 21 KiB: docs/operate.md. */
const heldBytes = maxNames * 45 * kibibyte + maxStreams * 21 * kibibyte;
/** A leg that has ended and that nobody reads was measured at 311 KiB, its last frame among them. */
const unreadBytes = maxStreamsPerCaller * 311 * kibibyte;

/** The bytes in a text such as "mem_limit: 3g". */
function memoryIn(text: string, setting: string): number {
  const [, gibibytes] = text.match(new RegExp(`${setting}\\s*[:=]\\s*(\\d+)g`, "i")) ?? [];
  return Number(gibibytes) * 1_024 * mebibyte;
}

describe.each([
  ["the service", "browser-stream-server.service", "MemoryMax"],
  ["the container", "compose.yaml", "mem_limit"],
])("the memory of %s", (_what, file, setting) => {
  test("has room for all names and streams, and for one caller that reads nothing of its own", async () => {
    const text = await readFile(new URL(`../../../examples/deploy/${file}`, import.meta.url), "utf8");
    const neededBytes = emptyBytes + heldBytes + unreadBytes + slowReaderBytes(maxStreamsPerCaller);
    expect(memoryIn(text, setting)).toBeGreaterThan(neededBytes);
  });
});
