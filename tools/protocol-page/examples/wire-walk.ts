import type { DescField, DescMessage } from "@bufbuild/protobuf";
import { ScalarType } from "@bufbuild/protobuf";
import { BinaryReader, WireType } from "@bufbuild/protobuf/wire";

/** One line of a dump: some bytes, and a note that says what they mean. */
export interface WireLine {
  depth: number;
  bytes: Uint8Array;
  note: string;
}

/** The lines of a message, field by field in the order of its bytes. */
export function* walkWire(schema: DescMessage, bytes: Uint8Array, depth = 0): Generator<WireLine> {
  const reader = new BinaryReader(bytes);
  while (reader.pos < reader.len) {
    const start = reader.pos;
    const [number, wireType] = reader.tag();
    const field = schema.fields.find((each) => each.number === number);
    if (field === undefined) throw new Error(`${schema.typeName} has no field ${number}`);
    if (wireType === WireType.Varint) {
      const note = `${field.name}: ${varintNote(field, reader)}`;
      yield { depth, bytes: bytes.subarray(start, reader.pos), note };
    } else if (wireType === WireType.LengthDelimited) {
      const content = reader.bytes();
      const head = bytes.subarray(start, reader.pos - content.byteLength);
      yield* walkDelimited(field, head, content, depth);
    } else throw new Error(`no example needs wire type ${wireType}`);
  }
}

function* walkDelimited(field: DescField, head: Uint8Array, content: Uint8Array, depth: number): Generator<WireLine> {
  const { name, message } = field;
  if (field.fieldKind === "map") {
    yield { depth, bytes: head, note: `${name}: entry` };
    yield* walkEntry(content, depth + 1);
  } else if (message !== undefined) {
    yield { depth, bytes: head, note: `${name}: ${message.name}${content.byteLength === 0 ? ", empty" : ""}` };
    yield* walkWire(message, content, depth + 1);
  } else {
    yield { depth, bytes: Buffer.concat([head, content]), note: `${name}: ${leafNote(field, content)}` };
  }
}

/** The lines of an entry of a map from strings to strings. The protocol has no other maps. */
function* walkEntry(bytes: Uint8Array, depth: number): Generator<WireLine> {
  const reader = new BinaryReader(bytes);
  while (reader.pos < reader.len) {
    const start = reader.pos;
    const [number] = reader.tag();
    const text = JSON.stringify(reader.string());
    yield { depth, bytes: bytes.subarray(start, reader.pos), note: `${number === 1 ? "key" : "value"}: ${text}` };
  }
}

function varintNote(field: DescField, reader: BinaryReader): string {
  const value = Number(reader.uint64());
  if (field.scalar === ScalarType.BOOL) return value === 0 ? "false" : "true";
  if (field.enum !== undefined) return enumName(field, value);
  return value.toLocaleString("en-US");
}

function leafNote(field: DescField, content: Uint8Array): string {
  if (field.fieldKind === "list" && field.enum !== undefined) {
    const reader = new BinaryReader(content);
    const names: string[] = [];
    while (reader.pos < reader.len) names.push(enumName(field, reader.uint32()));
    return names.join(", ");
  }
  const text = Buffer.from(content).toString("utf8");
  if (field.scalar === ScalarType.STRING || /^[\x20-\x7e]+$/.test(text)) return JSON.stringify(text);
  return content.byteLength === 1 ? "1 byte" : `${content.byteLength} bytes`;
}

function enumName(field: DescField, value: number): string {
  return field.enum?.value[value]?.name ?? String(value);
}

/** Lays the lines out: bytes on the left, notes on the right, and contents indented. */
export function dumpLines(lines: Iterable<WireLine>): string {
  const hexes = [...lines].map(({ depth, bytes, note }) => {
    const pairs = [...bytes].map((byte) => byte.toString(16).padStart(2, "0"));
    return { indent: "  ".repeat(depth), rows: rowsOf(pairs), note };
  });
  const width = Math.max(...hexes.map(({ indent, rows }) => indent.length + (rows[0]?.length ?? 0)));
  return hexes
    .flatMap(({ indent, rows: [first, ...rest], note }) => [
      first === undefined ? indent + note : `${(indent + first).padEnd(width)}   ${indent}${note}`,
      ...rest.map((row) => indent + row),
    ])
    .join("\n");
}

const bytesPerRow = 16;

function rowsOf(pairs: string[]): string[] {
  const rows: string[] = [];
  for (let from = 0; from < pairs.length; from += bytesPerRow) {
    rows.push(pairs.slice(from, from + bytesPerRow).join(" "));
  }
  return rows;
}
