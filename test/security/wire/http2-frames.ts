/** Types of frames. RFC 9113, section 6. */
export const frameTypes = {
  data: 0,
  headers: 1,
  priority: 2,
  rstStream: 3,
  settings: 4,
  ping: 6,
  goaway: 7,
  windowUpdate: 8,
  continuation: 9,
} as const;

export type FrameType = keyof typeof frameTypes;

export const endStream = 0x1;
export const endHeaders = 0x4;
export const ackFlag = 0x1;

export const preface = Buffer.from("PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n");

/** A frame as bytes, right or wrong. RFC 9113, section 4.1. */
export function frame(type: FrameType | number, stream: number, flags: number, payload: Uint8Array): Buffer {
  const bytes = Buffer.allocUnsafe(9 + payload.byteLength);
  bytes.writeUIntBE(payload.byteLength, 0, 3);
  bytes.writeUInt8(typeof type === "number" ? type : frameTypes[type], 3);
  bytes.writeUInt8(flags, 4);
  bytes.writeUInt32BE(stream, 5);
  bytes.set(payload, 9);
  return bytes;
}

export function uint32(value: number): Buffer {
  const bytes = Buffer.allocUnsafe(4);
  bytes.writeUInt32BE(value);
  return bytes;
}

/** A string of HPACK that is not Huffman-coded. RFC 7541, section 5.2. */
export function hpackString(text: string): Buffer {
  const bytes = Buffer.from(text, "latin1");
  if (bytes.byteLength < 127) return Buffer.concat([Buffer.from([bytes.byteLength]), bytes]);
  const length = [127];
  let rest = bytes.byteLength - 127;
  for (; rest >= 128; rest = Math.floor(rest / 128)) length.push((rest % 128) + 128);
  return Buffer.concat([Buffer.from([...length, rest]), bytes]);
}

/** A field that the peer is to remember: the name of entry `index` of the static table, or a new one. */
export function rememberedField(name: number | string, value: string): Buffer {
  const head =
    typeof name === "number" ? Buffer.from([0x40 | name]) : Buffer.concat([Buffer.from([0x40]), hpackString(name)]);
  return Buffer.concat([head, hpackString(value)]);
}

/** Entries of the static table. RFC 7541, appendix A. */
const [authority, methodPost, pathName, schemeHttp, contentType] = [1, 3, 4, 6, 31];

/** The head of a request, whose fields the peer remembers. */
export function firstHead(path: string, type = "application/connect+proto"): Buffer {
  return Buffer.concat([
    Buffer.from([0x80 | methodPost, 0x80 | schemeHttp]),
    rememberedField(pathName, path),
    rememberedField(authority, "relay"),
    rememberedField(contentType, type),
  ]);
}

/** The same head once more, of fields that the peer remembers: five bytes. */
export const nextHead = Buffer.from([0x80 | methodPost, 0x80 | schemeHttp, 0x80 | 64, 0x80 | 63, 0x80 | 62]);
