import { createHash } from "node:crypto";
import type { Stream } from "browser-stream-server";
import { contentOf, planMessage } from "./message.ts";

export const mebibyte = 1_048_576;
const messageBytes = 65_536;

/** Bytes on their way from one stream to its peer, with a hash on both sides. */
export class Transfer {
  readonly bytes: number;
  readonly #sent = createHash("sha256");
  readonly #received = createHash("sha256");
  receivedBytes = 0;
  /** Called whenever a message has come. */
  onProgress: () => void = () => {};

  constructor(bytes: number) {
    this.bytes = bytes;
  }

  /** Writes all bytes at the pace of the stream, and ends its direction. Rejects if the stream fails. */
  async send(stream: Stream): Promise<void> {
    for (let number = 0; number * messageBytes < this.bytes; number += 1) {
      const message = contentOf(planMessage(messageBytes, false, 1, number)) as Uint8Array;
      this.#sent.update(message);
      if (stream.write(message)) continue;
      await Promise.race([new Promise<void>((resolve) => stream.once("drain", () => resolve())), stream.closed]);
    }
    stream.end();
    await stream.closed;
  }

  /** Reads all bytes, and ends the other direction after them. Rejects if the stream fails. */
  async receive(stream: Stream): Promise<void> {
    stream.on("data", (message) => {
      this.#received.update(message);
      this.receivedBytes += message.length;
      this.onProgress();
    });
    stream.on("end", () => stream.end());
    await stream.closed;
  }

  /** Returns what is wrong after both have resolved. */
  problems(): string[] {
    if (this.receivedBytes !== this.bytes) return [`${this.receivedBytes} of ${this.bytes} bytes arrived`];
    return this.#sent.digest("hex") === this.#received.digest("hex") ? [] : ["the hash differs"];
  }
}
