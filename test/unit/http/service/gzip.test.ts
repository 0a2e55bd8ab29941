import { gunzipSync, gzipSync } from "node:zlib";
import { Code } from "@connectrpc/connect";
import { expect, test } from "vitest";
import { gzip } from "../../../../http/service/gzip.js";

const words = new TextEncoder().encode("the same words, ".repeat(1_000));

test("gzip writes and reads what others read and write", async () => {
  expect(gunzipSync(await gzip.compress(words))).toEqual(Buffer.from(words));
  expect(await gzip.decompress(gzipSync(words), words.byteLength)).toEqual(words);
  expect(await gzip.decompress(new Uint8Array(0), 0)).toEqual(new Uint8Array(0));
});

test("gzip.decompress reads a bomb no further than it may", async () => {
  const bomb = gzipSync(new Uint8Array(64 * 1024 * 1024));
  const { heapTotal, arrayBuffers } = process.memoryUsage();
  await expect(gzip.decompress(bomb, 100_000)).rejects.toMatchObject({ code: Code.ResourceExhausted });
  const after = process.memoryUsage();
  expect(after.heapTotal + after.arrayBuffers - heapTotal - arrayBuffers).toBeLessThan(16 * 1024 * 1024);
});

test("gzip.decompress refuses bytes that are no gzip, and gzip that is cut off", async () => {
  for (const bytes of [words, gzipSync(words).subarray(0, -12)]) {
    await expect(gzip.decompress(bytes, 1_000_000)).rejects.toMatchObject({ code: Code.InvalidArgument });
  }
});
