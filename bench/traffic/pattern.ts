/**
 * The length of the pattern that every flow repeats. Both ends know the pattern, so that the listener can compare a
 * flow of any length without keeping it.
 */
export const patternBytes = 1_048_576;

const pattern = createPattern();
const words = new Int32Array(pattern.buffer);

function createPattern(): Uint8Array<ArrayBuffer> {
  const made = new Uint32Array(patternBytes / 4);
  // This is the generator of Numerical Recipes. Its high bits are random enough to tell each place from every other.
  let state = 1;
  for (let index = 0; index < made.length; index += 1) {
    state = (Math.imul(state, 1_664_525) + 1_013_904_223) >>> 0;
    made[index] = state;
  }
  return new Uint8Array(made.buffer);
}

/** Cuts the pattern into messages. `messageBytes` must divide its length. */
export function patternMessages(messageBytes: number): Uint8Array[] {
  const count = patternBytes / messageBytes;
  return Array.from({ length: count }, (_, index) =>
    pattern.subarray(index * messageBytes, (index + 1) * messageBytes),
  );
}

/** Whether the bytes are those at a position of a flow. It compares every byte, in a few µs for 64 KiB. */
export function isPattern(bytes: Uint8Array, position: number): boolean {
  for (let at = 0; at < bytes.byteLength; ) {
    const offset = (position + at) % patternBytes;
    const length = Math.min(bytes.byteLength - at, patternBytes - offset);
    if (!isEqual(bytes, at, offset, length)) return false;
    at += length;
  }
  return true;
}

const isEqual = typeof Buffer === "undefined" ? areWordsEqual : areBuffersEqual;

/** Compares in Node, which has native code for it. */
function areBuffersEqual(bytes: Uint8Array, at: number, offset: number, length: number): boolean {
  return nodePattern().compare(bytes, at, at + length, offset, offset + length) === 0;
}

let view: Buffer | undefined;
function nodePattern(): Buffer {
  view ??= Buffer.from(pattern.buffer);
  return view;
}

/** Compares in a page, word by word where the memory is aligned. */
export function areWordsEqual(bytes: Uint8Array, at: number, offset: number, length: number): boolean {
  const start = bytes.byteOffset + at;
  let differs = 0;
  let compared = 0;
  if (start % 4 === 0 && offset % 4 === 0) {
    const count = length >> 2;
    const received = new Int32Array(bytes.buffer, start, count);
    const first = offset >> 2;
    for (let index = 0; index < count; index += 1) {
      differs |= (received[index] as number) ^ (words[first + index] as number);
    }
    compared = count << 2;
  }
  for (; compared < length; compared += 1) {
    differs |= (bytes[at + compared] as number) ^ (pattern[offset + compared] as number);
  }
  return differs === 0;
}
