import type { BenchStream } from "../contender.ts";
import { decodeReply, encodeOrder, orderBytes, type Reply } from "./order.ts";
import { patternMessages } from "./pattern.ts";

export interface FlowOrder {
  messageBytes: number;
  /**
   * The listener replies each time it has received this many bytes, so that the sender knows how many have arrived. It
   * must be a multiple of `messageBytes`.
   */
  unitBytes: number;
  durationMs: number;
}

/** The times at which the units of a flow had arrived, as its sender knows them from the replies. */
export interface FlowResult {
  startedMs: number;
  unitBytes: number;
  /** The times of the replies. The last replies come after the duration, when all bytes have arrived. */
  repliesMs: number[];
}

/** The client's end of a stream, which gives orders to the listener and takes its replies. */
export class Question {
  readonly stream: BenchStream;
  readonly #head = new Uint8Array(orderBytes);
  #headBytes = 0;
  #onReply: (reply: Reply) => void = () => {};

  constructor(stream: BenchStream) {
    this.stream = stream;
    stream.receive((bytes) => this.#receive(bytes));
  }

  /** Sends a message of 32 bytes. Resolves when the listener's reply of 32 bytes has arrived. */
  echo(): Promise<void> {
    return new Promise((resolve) => {
      this.#onReply = () => resolve();
      this.stream.write(echo);
    });
  }

  /**
   * Sends messages of 32 bytes, each after the reply to the last one. Resolves with their times there and back, in ms.
   */
  async pings(durationMs: number): Promise<number[]> {
    const timesMs: number[] = [];
    const deadlineMs = performance.now() + durationMs;
    for (let sentMs = performance.now(); sentMs < deadlineMs; ) {
      await this.echo();
      const answeredMs = performance.now();
      timesMs.push(answeredMs - sentMs);
      sentMs = answeredMs;
    }
    return timesMs;
  }

  /**
   * Sends the pattern for `durationMs` as fast as the stream takes it. Resolves when all bytes have arrived. Rejects if
   * one was not the byte that was sent.
   */
  async flow({ messageBytes, unitBytes, durationMs }: FlowOrder): Promise<FlowResult> {
    const messages = patternMessages(messageBytes);
    const messagesPerUnit = unitBytes / messageBytes;
    const order = encodeOrder({ kind: "flow", messageBytes, totalBytes: unitBytes });
    const repliesMs: number[] = [];
    const startedMs = performance.now();
    let sentUnits = 0;
    let onAllReplies = () => {};
    const bad = new Promise<never>((_, reject) => {
      this.#onReply = ({ isIntact, receivedBytes }) => {
        repliesMs.push(performance.now());
        if (!isIntact || receivedBytes !== unitBytes) reject(new Error("the bytes that arrived are not those sent"));
        if (repliesMs.length === sentUnits) onAllReplies();
      };
    });
    const { stream } = this;
    const send = async () => {
      while (performance.now() - startedMs < durationMs) {
        if (!stream.write(order)) await stream.drained();
        for (let index = 0; index < messagesPerUnit; index += 1) {
          if (!stream.write(messages[index % messages.length] as Uint8Array)) await stream.drained();
        }
        sentUnits += 1;
      }
      await new Promise<void>((resolve) => {
        onAllReplies = resolve;
        if (repliesMs.length === sentUnits) resolve();
      });
    };
    await Promise.race([send(), bad]);
    return { startedMs, unitBytes, repliesMs };
  }

  /**
   * Has the listener stop reading, and writes until there is no room for as long as `isFull` takes. Resolves with the
   * number of bytes that the stream took.
   */
  async fill(messageBytes: number, maxBytes: number, isFull: () => Promise<void>): Promise<number> {
    const [message = new Uint8Array(0)] = patternMessages(messageBytes);
    this.stream.write(encodeOrder({ kind: "pause" }));
    let takenBytes = 0;
    while (takenBytes < maxBytes) {
      const hasRoom = this.stream.write(message);
      takenBytes += messageBytes;
      if (hasRoom) continue;
      const drained = this.stream.drained().then(() => true);
      if (!(await Promise.race([drained, isFull().then(() => false)]))) break;
    }
    return takenBytes;
  }

  #receive(bytes: Uint8Array): void {
    for (let at = 0; at < bytes.byteLength; ) {
      const taken = Math.min(orderBytes - this.#headBytes, bytes.byteLength - at);
      this.#head.set(bytes.subarray(at, at + taken), this.#headBytes);
      this.#headBytes += taken;
      at += taken;
      if (this.#headBytes < orderBytes) continue;
      this.#headBytes = 0;
      this.#onReply(decodeReply(this.#head));
    }
  }
}

const echo = encodeOrder({ kind: "echo" });
