import { Failure } from "../../gen/streamserver/v1/failure_pb.js";
import { Fifo } from "../platform/fifo.js";
import { unpinned } from "./bytes.js";
import type { FrameMessage } from "./frame.js";
import { ReceiveCredit } from "./receive-credit.js";
import { initialCreditBytes, messageOverheadBytes, type ReceivedMessage } from "./sender.js";

/** A message may keep a buffer of four times its size, so that three messages of 64 KiB in one frame are not copied. */
const pinnedFactor = 4;

/** An unfinished message, in one buffer that doubles, so that many tiny parts take no more memory than a few large. */
interface Assembly {
  buffer: Uint8Array<ArrayBuffer>;
  dataBytes: number;
  costBytes: number;
  text: boolean;
}

/**
 * The receive half of an endpoint: parts in, whole messages out, and the credit that follows from what was read.
 *
 * Unread messages never cost more than `windowBytes`, plus one message that came in parts: the parts of an
 * unfinished message are granted for as they come, but only while no finished message waits. The buffers of messages
 * may be four times as large as the messages, see `pinnedFactor`.
 */
export class Receiver {
  readonly #credit: ReceiveCredit;
  readonly #maxMessageBytes: number;
  readonly #queue = new Fifo<ReceivedMessage & { costBytes: number }>();
  #assembly: Assembly | undefined;
  #sequence = 0;
  /** Frames that leave a gap are "dropped" from a resume on, until the frame that is expected has come. */
  #gaps: "refused" | "dropped" = "refused";

  /**
   * - `windowBytes`: the cost of the messages that may wait unread; at least `initialCreditBytes`.
   * - `maxMessageBytes`: the largest message that is taken, in bytes of data.
   */
  constructor(windowBytes: number, maxMessageBytes: number) {
    this.#credit = new ReceiveCredit(windowBytes, initialCreditBytes);
    this.#maxMessageBytes = maxMessageBytes;
  }

  /** The highest number received without a gap. */
  get sequence(): number {
    return this.#sequence;
  }

  /** The cost of all messages that were taken. */
  get receivedBytes(): number {
    return this.#credit.receivedBytes;
  }

  /** Whether there is room for another frame. The leg of a peer without credit asks before each one. */
  get hasRoom(): boolean {
    return this.#heldBytes < this.#credit.windowBytes;
  }

  get empty(): boolean {
    return this.#queue.length === 0;
  }

  get midMessage(): boolean {
    return this.#assembly !== undefined;
  }

  /** The cost that counts against the window: parts of an unfinished message do not while no finished message waits. */
  get #heldBytes(): number {
    return this.#queue.length > 0 ? this.#credit.unreadBytes : 0;
  }

  /**
   * Expects frames that leave a gap: those that were on their way when the legs changed may come before the frames that
   * the peer sends again.
   */
  expectGap(): void {
    this.#gaps = "dropped";
  }

  /** Says whether to "take" a frame, to "drop" it as seen before or too early, or to "refuse" it for its gap. */
  judge(sequence: number): "take" | "drop" | "refuse" {
    if (sequence === this.#sequence + 1) return "take";
    return sequence <= this.#sequence || this.#gaps === "dropped" ? "drop" : "refuse";
  }

  /** Counts a frame that was taken whole. */
  advance(): void {
    this.#sequence += 1;
    this.#gaps = "refused";
  }

  /** Takes one part; a failure if the peer broke a rule. `obeysCredit` is false for a simple client. */
  accept(part: FrameMessage, obeysCredit: boolean): Failure | undefined {
    const costBytes = part.data.byteLength + messageOverheadBytes;
    if (!this.#credit.receive(costBytes) && obeysCredit) return Failure.CREDIT_EXCEEDED;
    const dataBytes = (this.#assembly?.dataBytes ?? 0) + part.data.byteLength;
    if (dataBytes > this.#maxMessageBytes) return Failure.MESSAGE_TOO_LARGE;
    if (this.#assembly === undefined && !part.more) {
      this.#queue.push({ data: unpinned(part.data, pinnedFactor), text: part.text, costBytes });
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
      this.#queue.push({ data: buffer.slice(0, dataBytes), text, costBytes });
    }
    return undefined;
  }

  read(): ReceivedMessage | undefined {
    const message = this.#queue.shift();
    if (message !== undefined) this.#credit.read(message.costBytes);
    return message;
  }

  clear(): void {
    this.#queue.clear();
    this.#assembly = undefined;
  }

  /** Whether a grant is worth a frame: it adds at least a quarter of a window. */
  get isGrantDue(): boolean {
    return this.#credit.grantableBytes(this.#heldBytes) >= this.#credit.windowBytes / 4;
  }

  /** Returns the offset to grant, which the frame that is being made tells the peer. */
  grant(): number {
    return this.#credit.grant(this.#heldBytes);
  }
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
