import { create, toBinary } from "@bufbuild/protobuf";
import { LinkMessageSchema, type Packet } from "browser-stream-server/gen";
import type { Outcome, Target } from "../attack.ts";
import { RawConnection } from "./raw-connection.ts";

export const opcodes = { continuation: 0, text: 1, binary: 2, close: 8, ping: 9, pong: 10 } as const;

const handshake = [
  "GET /browser-server/streamserver.v1.LinkService/WebSocket HTTP/1.1",
  "Host: relay",
  "Connection: Upgrade",
  "Upgrade: websocket",
  "Sec-WebSocket-Version: 13",
  "Sec-WebSocket-Key: AAAAAAAAAAAAAAAAAAAAAA==",
  "Sec-WebSocket-Protocol: streamserver.v1",
  "",
  "",
].join("\r\n");

/** A frame of a client, masked with zeros, so that its payload is what it is. RFC 6455, section 5.2. */
export function socketFrame(opcode: keyof typeof opcodes, payload: Uint8Array, isLast = true, reserved = 0): Buffer {
  const { byteLength } = payload;
  const head = Buffer.alloc(byteLength < 126 ? 6 : byteLength < 65_536 ? 8 : 14);
  head[0] = (isLast ? 0x80 : 0) | reserved | opcodes[opcode];
  head[1] = 0x80 | (byteLength < 126 ? byteLength : byteLength < 65_536 ? 126 : 127);
  if (byteLength >= 65_536) head.writeBigUInt64BE(BigInt(byteLength), 2);
  else if (byteLength >= 126) head.writeUInt16BE(byteLength, 2);
  return Buffer.concat([head, payload]);
}

/** A message of a link with these packets. */
export function linkMessage(packets: readonly Packet[]): Buffer {
  return socketFrame("binary", toBinary(LinkMessageSchema, create(LinkMessageSchema, { packets: [...packets] })));
}

/** Opens a link over a WebSocket by hand. */
export async function openSocket(target: Target, isReading = true): Promise<RawConnection> {
  const raw = await RawConnection.open(target);
  if (isReading) raw.read();
  await raw.write(Buffer.from(handshake));
  return raw;
}

/** Sends a piece of bytes on a link again and again, `perPiece` of what is counted in each. */
export async function floodSocket(
  target: Target,
  piece: Buffer,
  pieces: number,
  { isReading = true, first }: { isReading?: boolean; first?: Buffer } = {},
): Promise<Outcome> {
  const raw = await openSocket(target, isReading);
  if (first !== undefined) await raw.write(first);
  return raw.flood(target, (number) => (number < pieces ? piece : undefined));
}
