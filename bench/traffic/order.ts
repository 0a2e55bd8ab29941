/**
 * A client's order to the listener of a stream. An order and a reply are 32 bytes each, so that each of them is a
 * message of the ping-pong.
 */
export type Order =
  | { kind: "echo" }
  /** `totalBytes` of the pattern follow, in messages of `messageBytes`. */
  | { kind: "flow"; messageBytes: number; totalBytes: number }
  /** The listener stops reading. It does not reply. */
  | { kind: "pause" };

export interface Reply {
  /** Whether each byte was the one that was sent, and each message had its length where a contender keeps messages. */
  isIntact: boolean;
  receivedBytes: number;
}

export const orderBytes = 32;

const kinds = ["echo", "flow", "pause"] as const;
/** An order and a reply begin with a mark, so that a stream with lost or surplus bytes is noticed. */
const orderMark = 0x0bce0000;
const replyMark = 0x0bce0100;

const viewOf = (bytes: Uint8Array) => new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength);

export function encodeOrder(order: Order): Uint8Array {
  const bytes = new Uint8Array(orderBytes);
  const view = viewOf(bytes);
  view.setUint32(0, orderMark + kinds.indexOf(order.kind));
  if (order.kind === "flow") {
    view.setUint32(4, order.messageBytes);
    view.setUint32(8, order.totalBytes);
  }
  return bytes;
}

/** Throws if the bytes are not an order. */
export function decodeOrder(bytes: Uint8Array): Order {
  const view = viewOf(bytes);
  const kind = kinds[view.getUint32(0) - orderMark];
  if (kind === undefined) throw new Error("the stream is out of step: an order was expected");
  return kind === "flow" ? { kind, messageBytes: view.getUint32(4), totalBytes: view.getUint32(8) } : { kind };
}

export function encodeReply({ isIntact, receivedBytes }: Reply): Uint8Array {
  const bytes = new Uint8Array(orderBytes);
  const view = viewOf(bytes);
  view.setUint32(0, replyMark + Number(isIntact));
  view.setUint32(4, receivedBytes);
  return bytes;
}

/** Throws if the bytes are not a reply. */
export function decodeReply(bytes: Uint8Array): Reply {
  const view = viewOf(bytes);
  const isIntact = view.getUint32(0) - replyMark;
  if (isIntact !== 0 && isIntact !== 1) throw new Error("the stream is out of step: a reply was expected");
  return { isIntact: isIntact === 1, receivedBytes: view.getUint32(4) };
}
