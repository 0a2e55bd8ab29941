/**
 * Bytes that wait in the relay may keep a buffer of up to this many times their size in memory. The limits count only
 * the bytes.
 */
export const maxPinnedFactor = 4;

/** Bytes up to which copying an array costs less than keeping it apart. */
const smallBytes = 4_096;

export function isSmall({ byteLength }: { readonly byteLength: number }): boolean {
  return byteLength <= smallBytes;
}

/** Bytes that stand in several arrays, so that nobody copies them before they are sent. */
export class Parts {
  readonly arrays: readonly Uint8Array[];
  readonly byteLength: number;

  constructor(arrays: readonly Uint8Array[]) {
    this.arrays = arrays;
    let byteLength = 0;
    for (const array of arrays) byteLength += array.byteLength;
    this.byteLength = byteLength;
  }

  /** False once the application has transferred some of the bytes away. */
  get isWhole(): boolean {
    let leftBytes = this.byteLength;
    for (const array of this.arrays) leftBytes -= array.byteLength;
    return leftBytes === 0;
  }

  /** Views of a range of the bytes, as `Uint8Array.subarray` returns one. */
  subarray(from: number, to: number): Parts {
    if (from === 0 && to === this.byteLength) return this;
    const views: Uint8Array[] = [];
    let at = 0;
    for (const array of this.arrays) {
      const view = array.subarray(Math.max(0, from - at), Math.max(0, to - at));
      if (view.byteLength > 0) views.push(view);
      at += array.byteLength;
    }
    return new Parts(views);
  }

  /** Copies them behind each other into `target`. */
  copyTo(target: Uint8Array, offset = 0): void {
    let at = offset;
    for (const array of this.arrays) {
      target.set(array, at);
      at += array.byteLength;
    }
  }

  /** The bytes in one array, which is a copy unless there was one only. */
  get joined(): Uint8Array {
    const [first] = this.arrays;
    if (this.arrays.length === 1 && first !== undefined) return first;
    const bytes = new Uint8Array(this.byteLength);
    this.copyTo(bytes);
    return bytes;
  }
}
