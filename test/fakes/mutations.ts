/** Numbers that look random and are the same for the same seed. https://en.wikipedia.org/wiki/Xorshift */
export class Random {
  #state: number;

  constructor(seed: number) {
    this.#state = (Math.imul(seed, 0x9e3779b1) ^ 0x5bd1e995) | 1;
  }

  /** A whole number from 0, below `limit`. */
  below(limit: number): number {
    this.#state ^= this.#state << 13;
    this.#state ^= this.#state >>> 17;
    this.#state ^= this.#state << 5;
    return Math.floor(((this.#state >>> 0) / 0x1_0000_0000) * limit);
  }

  chance(percent: number): boolean {
    return this.below(100) < percent;
  }

  pick<T>(choices: readonly T[]): T {
    const choice = choices[this.below(choices.length)];
    if (choice === undefined) throw new RangeError("nothing to choose from");
    return choice;
  }

  bytes(length: number): Uint8Array {
    const bytes = new Uint8Array(length);
    for (let at = 0; at < length; at += 1) bytes[at] = this.below(256);
    return bytes;
  }

  /** Returns the items, of which `percent` changed places with one before them. With 0 the order stays the same. */
  shuffled<T>(all: readonly T[], percent: number): T[] {
    const result = [...all];
    for (let at = result.length - 1; at > 0; at -= 1) {
      if (!this.chance(percent)) continue;
      const other = this.below(at + 1);
      [result[at], result[other]] = [result[other] as T, result[at] as T];
    }
    return result;
  }
}

type Mutation = (bytes: number[], at: number, random: Random) => void;

/** Values at which varints, lengths and signs turn over. */
const edges = [0x00, 0x01, 0x7f, 0x80, 0xfe, 0xff];

const mutations: readonly Mutation[] = [
  (bytes, at, random) => void bytes.splice(at, 1, (bytes[at] ?? 0) ^ (1 << random.below(8))),
  (bytes, at, random) => void bytes.splice(at, 1, random.pick(edges)),
  (bytes, at, random) => void bytes.splice(at, 0, ...random.bytes(1 + random.below(4))),
  (bytes, at, random) => void bytes.splice(at, 0, ...new Array(1 + random.below(12)).fill(random.pick(edges))),
  (bytes, at, random) => void bytes.splice(at, 1 + random.below(8)),
  (bytes, at) => void bytes.splice(at),
  (bytes, at, random) => void bytes.splice(at, 0, ...bytes.slice(at, at + 1 + random.below(32))),
];

/** The bytes with one to three things done to them that a broken or an ill-meant sender would do. */
export function mutated(original: Uint8Array, random: Random): Uint8Array<ArrayBuffer> {
  const bytes = [...original];
  for (let left = 1 + random.below(3); left > 0; left -= 1) {
    random.pick(mutations)(bytes, random.below(bytes.length + 1), random);
  }
  return new Uint8Array(bytes);
}
