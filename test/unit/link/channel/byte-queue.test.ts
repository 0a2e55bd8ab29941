import { expect, test, vi } from "vitest";
import { ByteQueue } from "../../../../link/channel/byte-queue.js";

const all = (queue: ByteQueue): Uint8Array[] => {
  const chunks: Uint8Array[] = [];
  for (let chunk = queue.shift(); chunk !== undefined; chunk = queue.shift()) chunks.push(chunk);
  return chunks;
};

/** What chunks keep in memory. */
const heldBytes = (chunks: readonly Uint8Array[]) =>
  [...new Set(chunks.map(({ buffer }) => buffer))].reduce((sum, { byteLength }) => sum + byteLength, 0);

test("what waits comes out in order, whatever the sizes of its chunks and whenever it is taken", () => {
  const queue = new ByteQueue();
  const [sent, taken]: [number[], number[]] = [[], []];
  let next = 0;
  for (const [at, size] of [1, 3, 0, 1_023, 1, 1_024, 2, 40_000, 1_000, 20_000, 5, 5].entries()) {
    const chunk = Uint8Array.from({ length: size }, () => next++ % 251);
    sent.push(...chunk);
    queue.push(chunk);
    if (at % 4 === 3) taken.push(...(queue.shift() ?? []));
  }
  for (const chunk of all(queue)) taken.push(...chunk);
  expect(Buffer.compare(Buffer.from(taken), Buffer.from(sent))).toBe(0);
});

test("a queue is empty when all is taken, or cleared, and not before", () => {
  const queue = new ByteQueue();
  queue.push(new Uint8Array());
  expect(queue.shift()).toBeUndefined();
  for (const size of [1, 5_000]) {
    queue.push(new Uint8Array(size));
    expect(queue.shift()).toHaveLength(size);
    expect(queue.shift()).toBeUndefined();
    queue.push(new Uint8Array(size));
    queue.clear();
    expect(queue.shift()).toBeUndefined();
  }
});

test("a hundred thousand single bytes take little more memory than they are", () => {
  const queue = new ByteQueue();
  const copies = vi.spyOn(Uint8Array.prototype, "set");
  for (let sent = 0; sent < 100_000; sent++) queue.push(new Uint8Array(1));
  const copiedBytes = copies.mock.calls.reduce((sum, [{ length }]) => sum + length, 0);
  copies.mockRestore();
  expect(copiedBytes).toBeLessThan(400_000);
  const chunks = all(queue);
  expect(chunks.length).toBeLessThan(10);
  expect(heldBytes(chunks)).toBeLessThan(120_000);
});

test.each([1, 1_023, 1_024, 5_000])("%i bytes of a large buffer do not keep it", (size) => {
  const queue = new ByteQueue();
  queue.push(Buffer.alloc(100_000).subarray(10, 10 + size));
  expect(heldBytes(all(queue))).toBe(size);
});

test("what is most of its buffer is not copied", () => {
  const queue = new ByteQueue();
  const chunk = new Uint8Array(new ArrayBuffer(50_000), 100, 40_000);
  queue.push(chunk);
  expect(queue.shift()).toBe(chunk);
});
