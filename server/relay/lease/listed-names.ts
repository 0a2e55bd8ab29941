/** The names that are listed, in the order of their UTF-8 bytes. */
export class ListedNames {
  /** 10,000 names, the default limit, are searched in 14 steps, and moving half of them takes a microsecond or two. */
  readonly #names: string[] = [];

  add(name: string): void {
    const index = this.#firstNotBefore(name);
    if (this.#names[index] !== name) this.#names.splice(index, 0, name);
  }

  delete(name: string): void {
    const index = this.#firstNotBefore(name);
    if (this.#names[index] === name) this.#names.splice(index, 1);
  }

  /** Yields the names that begin with `prefix` and come after `after`. No name may come or go meanwhile. */
  *after(prefix: string, after = ""): Generator<string, void, undefined> {
    const isInside = compareUtf8(after, prefix) >= 0;
    let index = this.#firstNotBefore(isInside ? after : prefix);
    if (after !== "" && this.#names[index] === after) index += 1;
    for (; index < this.#names.length; index += 1) {
      const name = this.#names[index] ?? "";
      if (!name.startsWith(prefix)) return;
      yield name;
    }
  }

  /** Returns the index of the first name that does not come before `name`. */
  #firstNotBefore(name: string): number {
    let low = 0;
    let high = this.#names.length;
    while (low < high) {
      const middle = (low + high) >>> 1;
      if (compareUtf8(this.#names[middle] ?? "", name) < 0) low = middle + 1;
      else high = middle;
    }
    return low;
  }
}

/** Compares two texts as their UTF-8 bytes compare, without encoding them. */
export function compareUtf8(a: string, b: string): number {
  const length = Math.min(a.length, b.length);
  for (let index = 0; index < length; index += 1) {
    const difference = rank(a.charCodeAt(index)) - rank(b.charCodeAt(index));
    if (difference !== 0) return difference;
  }
  return a.length - b.length;
}

/**
 * UTF-8 compares as code points do. Surrogates, U+D800 to U+DFFF, stand for code points above U+FFFF, so they come
 * after U+E000 to U+FFFF.
 */
function rank(codeUnit: number): number {
  return codeUnit >= 0xd800 && codeUnit <= 0xdfff ? codeUnit + 0x2800 : codeUnit;
}
