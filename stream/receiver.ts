import { Failure } from "../gen/streamserver/v1/failure_pb.js";
import { Fifo } from "./fifo.js";
import type { FrameMessage } from "./frame.js";
import { initialCreditBytes, messageOverheadBytes, type ReceivedMessage } from "./sender.js";

/**
 * A message may pin a buffer of four times its size: the three messages of 64 KiB that share a frame are not copied.
 */
const pinnedFactor = 4;

/** An unfinished message. One buffer that doubles, so that many tiny parts hold no more memory than few large ones. */
interface Assembly {
  buffer: Uint8Array<ArrayBuffer>;
  dataBytes: number;
  costBytes: number;
  text: boolean;
}

export interface ReceiverOptions {
  /** How much may wait unread, in cost; at least `initialCreditBytes`. */
  windowBytes: number;
  /** The largest message taken. */
  maxMessageBytes: number;
}

/**
 * The receive half of an endpoint: parts in, whole messages out, and the credit that follows from what was read.
 *
 * Unread messages never cost more than `windowBytes`, plus one message that came in parts: the parts of an
 * unfinished message are granted for as they come, but only while no finished message waits. The buffers that it is in
 * may be four times as large, if there was more in them.
 */
export class Receiver {
  readonly #options: ReceiverOptions;
  readonly #queue = new Fifo<ReceivedMessage & { costBytes: number }>();
  #assembly: Assembly | undefined;
  #queuedBytes = 0;
  #receivedBytes = 0;
  #grantedBytes = initialCreditBytes;
  #sequence = 0;

  constructor(options: ReceiverOptions) {
    this.#options = options;
  }

  /** The highest number received without a gap. */
  get sequence(): number {
    return this.#sequence;
  }

  /** Whether there is room for another frame. The leg of a peer without credit asks before each one. */
  get hasRoom(): boolean {
    return this.#heldBytes < this.#options.windowBytes;
  }

  get empty(): boolean {
    return this.#queue.length === 0;
  }

  get midMessage(): boolean {
    return this.#assembly !== undefined;
  }

  get #heldBytes(): number {
    return this.#queuedBytes + (this.#queue.length > 0 ? (this.#assembly?.costBytes ?? 0) : 0);
  }

  /** Takes a number: "next" if it is the one expected, "seen" or "gap" otherwise. */
  advance(sequence: number): "next" | "seen" | "gap" {
    if (sequence <= this.#sequence) return "seen";
    if (sequence !== this.#sequence + 1) return "gap";
    this.#sequence = sequence;
    return "next";
  }

  /** Takes one part; a failure if the peer broke a rule. `obeysCredit` is false for a simple client. */
  accept(part: FrameMessage, obeysCredit: boolean): Failure | undefined {
    const costBytes = part.data.byteLength + messageOverheadBytes;
    this.#receivedBytes += costBytes;
    if (obeysCredit && this.#receivedBytes > this.#grantedBytes) return Failure.CREDIT_EXCEEDED;
    const dataBytes = (this.#assembly?.dataBytes ?? 0) + part.data.byteLength;
    if (dataBytes > this.#options.maxMessageBytes) return Failure.MESSAGE_TOO_LARGE;
    if (this.#assembly === undefined && !part.more) {
      this.#enqueue({ data: unpinned(part.data), text: part.text, costBytes });
      return undefined;
    }
    this.#assembly ??= {
      buffer: new Uint8Array(part.data.byteLength * 2),
      dataBytes: 0,
      costBytes: 0,
      text: part.text,
    };
    append(this.#assembly, part.data);
    this.#assembly.costBytes += costBytes;
    if (!part.more) {
      const { buffer, text, costBytes } = this.#assembly;
      this.#assembly = undefined;
      this.#enqueue({ data: buffer.slice(0, dataBytes), text, costBytes });
    }
    return undefined;
  }

  read(): ReceivedMessage | undefined {
    const message = this.#queue.shift();
    if (message !== undefined) this.#queuedBytes -= message.costBytes;
    return message;
  }

  clear(): void {
    this.#queue.clear();
    this.#queuedBytes = 0;
    this.#assembly = undefined;
  }

  /** The offset to grant now, if it is worth a frame: a quarter of a window more than the last one. */
  get grantDue(): number | undefined {
    const offsetBytes = this.#receivedBytes + this.#options.windowBytes - this.#heldBytes;
    return offsetBytes - this.#grantedBytes >= this.#options.windowBytes / 4 ? offsetBytes : undefined;
  }

  granted(offsetBytes: number): void {
    this.#grantedBytes = offsetBytes;
  }

  #enqueue(message: ReceivedMessage & { costBytes: number }): void {
    this.#queue.push(message);
    this.#queuedBytes += message.costBytes;
  }
}

/** The data itself, or a copy of a small part of a network buffer, which would stay in memory as a whole. */
function unpinned(data: Uint8Array): Uint8Array<ArrayBuffer> {
  const isPinning = data.byteLength * pinnedFactor < data.buffer.byteLength;
  if (!isPinning) return data as Uint8Array<ArrayBuffer>;
  // Not `slice`, which copies nothing of a Buffer.
  return new Uint8Array(data);
}

function append(assembly: Assembly, data: Uint8Array): void {
  const dataBytes = assembly.dataBytes + data.byteLength;
  if (dataBytes > assembly.buffer.byteLength) {
    const larger = new Uint8Array(dataBytes * 2);
    larger.set(assembly.buffer.subarray(0, assembly.dataBytes));
    assembly.buffer = larger;
  }
  assembly.buffer.set(data, assembly.dataBytes);
  assembly.dataBytes = dataBytes;
}
