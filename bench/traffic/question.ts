import type { BenchStream } from "../contender.ts";
import { decodeReply, encodeOrder, orderBytes, type Reply } from "./order.ts";
import { patternMessages } from "./pattern.ts";

export interface FlowOrder {
  messageBytes: number;
  /**
   * The listener replies after so many bytes, which is how the sender knows what has arrived. A multiple of the
   * message.
   */
  unitBytes: number;
  durationMs: number;
}

/** When the bytes of a flow arrived, as its sender knows it from the replies. */
export interface FlowResult {
  startedMs: number;
  unitBytes: number;
  /** The times of the replies. The last ones come after the duration, when everything has arrived. */
  repliesMs: number[];
}

/** The client's side of a stream: gives orders to the listener and takes its replies. */
export class Question {
  readonly stream: BenchStream;
  readonly #head = new Uint8Array(orderBytes);
  #headBytes = 0;
  #onReply: (reply: Reply) => void = () => {};

  constructor(stream: BenchStream) {
    this.stream = stream;
    stream.receive((bytes) => this.#receive(bytes));
  }

  /** One message of 32 bytes there, and one back. */
  echo(): Promise<void> {
    return new Promise((resolve) => {
      this.#onReply = () => resolve();
      this.stream.write(echo);
    });
  }

  /** The times that messages of 32 bytes took there and back, one after the other, in ms. */
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
   * Sends for a while as fast as the stream takes it. Resolves when everything has arrived; rejects if a byte was
   * another.
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
        if (!isIntact || receivedBytes !== unitBytes) reject(new Error("what arrived was not what was sent"));
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
   * Has the listener read no more, and writes until there is no room for a while. Resolves with the bytes that were
   * taken.
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
