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

/** A field of a message: its tag, and its value or, if it has a length, its content. */
type Field = { tag: Uint8Array; value: Uint8Array } | { tag: Uint8Array; content: Uint8Array };

/** The fields of a message. Bytes that are no field end them, and are left out. */
function fieldsOf(bytes: Uint8Array): Field[] {
  const fields: Field[] = [];
  for (let at = 0; at < bytes.byteLength; ) {
    const tagEnd = varintEnd(bytes, at);
    const tag = bytes.subarray(at, tagEnd);
    const kind = (tag[0] ?? 0) & 7;
    const valueEnd = kind === 1 ? tagEnd + 8 : kind === 5 ? tagEnd + 4 : varintEnd(bytes, tagEnd);
    const contentEnd = kind === 2 ? valueEnd + varintOf(bytes.subarray(tagEnd, valueEnd)) : valueEnd;
    if (contentEnd > bytes.byteLength || contentEnd === tagEnd || kind === 3 || kind === 4 || kind > 5) break;
    if (kind === 2) fields.push({ tag, content: bytes.subarray(valueEnd, contentEnd) });
    else fields.push({ tag, value: bytes.subarray(tagEnd, valueEnd) });
    at = contentEnd;
  }
  return fields;
}

function varintEnd(bytes: Uint8Array, from: number): number {
  let at = from;
  while (at < bytes.byteLength && (bytes[at] ?? 0) >= 0x80) at += 1;
  return at + 1;
}

function varintOf(bytes: Uint8Array): number {
  return bytes.reduceRight((sum, byte) => sum * 128 + (byte & 0x7f), 0);
}

function varint(value: number): number[] {
  const bytes: number[] = [];
  let rest = value;
  for (; rest >= 0x80; rest = Math.floor(rest / 128)) bytes.push((rest % 128) + 0x80);
  return [...bytes, rest];
}

/** Lengths that say something else than the content has. */
const lies: readonly ((length: number) => number)[] = [
  (length) => length + 1,
  (length) => Math.max(0, length - 1),
  () => 0,
  () => 0x7f_ff_ff_ff,
  () => 0xff_ff_ff_ff,
  () => Number.MAX_SAFE_INTEGER,
];

const fieldMutations: readonly ((fields: Field[], at: number, random: Random) => void)[] = [
  (fields, at) => void fields.splice(at, 1),
  (fields, at) => void fields.splice(at, 0, fields[at] as Field),
  (fields, at, random) => {
    const other = random.below(fields.length);
    [fields[at], fields[other]] = [fields[other] as Field, fields[at] as Field];
  },
  // The value of one field under the tag of another, which may have another type.
  (fields, at, random) => void fields.splice(at, 1, { ...(fields[at] as Field), tag: random.pick(fields).tag }),
  (fields, at, random) => {
    const { tag, ...value } = fields[at] as Field;
    const length = "content" in value ? value.content.byteLength : 0;
    const content = "content" in value ? value.content : value.value;
    fields.splice(at, 1, { tag, value: new Uint8Array([...varint(random.pick(lies)(length)), ...content]) });
  },
  (fields, at, random) => {
    const field = fields[at] as Field;
    if ("content" in field) fields.splice(at, 1, { tag: field.tag, content: mutatedFields(field.content, random) });
    else fields.splice(at, 1, { tag: field.tag, value: mutated(field.value, random) });
  },
];

/**
 * The message of Protobuf with one of its fields, or of the fields of one of those, left out, doubled, moved, given the
 * tag of another, or with a length that is none. Bytes without fields are mutated as bytes.
 */
export function mutatedFields(original: Uint8Array, random: Random): Uint8Array<ArrayBuffer> {
  const fields = fieldsOf(original);
  if (fields.length === 0) return mutated(original, random);
  random.pick(fieldMutations)(fields, random.below(fields.length), random);
  const parts = fields.map((field) =>
    "content" in field
      ? [...field.tag, ...varint(field.content.byteLength), ...field.content]
      : [...field.tag, ...field.value],
  );
  return new Uint8Array(parts.flat());
}

/** The bytes with one to three things done to them that a broken or an ill-meant sender would do. */
export function mutated(original: Uint8Array, random: Random): Uint8Array<ArrayBuffer> {
  const bytes = [...original];
  for (let left = 1 + random.below(3); left > 0; left -= 1) {
    random.pick(mutations)(bytes, random.below(bytes.length + 1), random);
  }
  return new Uint8Array(bytes);
}
