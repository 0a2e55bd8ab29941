import { readFile } from "node:fs/promises";
import { describe, expect, test } from "vitest";
import { maxPinnedFactor } from "../../../leg/parts.js";
import { defaultLimits } from "../../../server/admission/limits.js";
import { mebibyte } from "../../security/attack.js";

const { maxHeldBytes } = defaultLimits;
/** A process of Node with the relay's code. */
const emptyBytes = 80 * mebibyte;
/**
 * Names, streams and calls: as much as `--max-old-space-size` gives, of which all of the default limits take 0.65 GiB.
 */
const objectBytes = 768 * mebibyte;
/** Bytes that wait may keep buffers of several times their size. */
const unreadBytes = maxHeldBytes * maxPinnedFactor;

/** The bytes in a text such as "mem_limit: 3g". */
function memoryIn(text: string, setting: string): number {
  const [, gibibytes] = text.match(new RegExp(`${setting}\\s*[:=]\\s*(\\d+)g`, "i")) ?? [];
  return Number(gibibytes) * 1_024 * mebibyte;
}

describe.each([
  ["the service", "browser-stream-server.service", "MemoryMax"],
  ["the container", "compose.yaml", "mem_limit"],
])("the memory of %s", (_what, file, setting) => {
  test("has room for all names and streams, and for all that may wait to be read", async () => {
    const text = await readFile(new URL(`../../../examples/deploy/${file}`, import.meta.url), "utf8");
    expect(memoryIn(text, setting)).toBeGreaterThan(emptyBytes + objectBytes + unreadBytes);
  });
});
