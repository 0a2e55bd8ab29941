import { randomFillSync } from "node:crypto";
import { Random } from "../random.ts";

/** A message as the history has it: its size decides its content, together with its place. */
export interface MessagePlan {
  bytes: number;
  isText: boolean;
  /** Where its content begins in the bytes or the characters that all messages are cut from. */
  offset: number;
  writtenMs: number;
  /** Called when the message has come. */
  onReceived?: () => void;
}

const sourceLength = 4_194_304;
const sourceBytes = randomFillSync(new Uint8Array(sourceLength));
const sourceText = createText();

/** Characters of one, two and three bytes of UTF-8, so that parts of a message are cut within them. */
function createText(): string {
  const random = new Random(1);
  const units = Uint16Array.from({ length: sourceLength / 4 }, () => random.pick([0x61, 0x7a, 0xe4, 0x20ac]));
  const text = new TextDecoder("utf-16le").decode(units);
  return text.repeat(4);
}

/** Plans the message with this number of one direction, of which `salt` is the number. */
export function planMessage(bytes: number, isText: boolean, salt: number, number: number): MessagePlan {
  const offset = new Random(salt * 1_000_003 + number).whole(0, sourceLength - 1);
  return { bytes, isText, offset: Math.min(offset, sourceLength - bytes), writtenMs: performance.now() };
}

export function contentOf({ bytes, isText, offset }: MessagePlan): string | Uint8Array {
  const end = offset + bytes;
  return isText ? sourceText.slice(offset, end) : sourceBytes.subarray(offset, end);
}

/** Returns how a message differs from the plan; undefined if it does not. */
export function differenceFrom(plan: MessagePlan, message: string | Uint8Array): string | undefined {
  const expected = contentOf(plan);
  if (typeof message === "string") {
    if (message === expected) return undefined;
  } else if (typeof expected !== "string" && Buffer.compare(message, expected) === 0) return undefined;
  return `a ${typeof message} of ${message.length} came in place of a ${typeof expected} of ${expected.length}`;
}
