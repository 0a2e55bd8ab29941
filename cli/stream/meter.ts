import { formatBytes, formatDuration } from "../../web/operator/amounts.js";

/** Counts the bytes of both directions, and tells them with their rate. */
export class Meter {
  sentBytes = 0;
  receivedBytes = 0;
  readonly #now: () => number;
  readonly #startedAtMs: number;
  #last: { atMs: number; bytes: number };

  constructor(now: () => number = () => performance.now()) {
    this.#now = now;
    this.#startedAtMs = now();
    this.#last = { atMs: this.#startedAtMs, bytes: 0 };
  }

  /** Returns a line about the bytes so far, with the rate since the last call. */
  progress(): string {
    const { atMs, bytes } = this.#last;
    this.#last = { atMs: this.#now(), bytes: this.sentBytes + this.receivedBytes };
    return this.#line(this.#last.bytes - bytes, this.#last.atMs - atMs);
  }

  /** Returns a line about all bytes, with the mean rate. */
  summary(): string {
    return this.#line(this.sentBytes + this.receivedBytes, this.#now() - this.#startedAtMs);
  }

  #line(bytes: number, durationMs: number): string {
    const ways = [
      ...(this.sentBytes > 0 ? [`sent ${formatBytes(this.sentBytes)}`] : []),
      ...(this.receivedBytes > 0 ? [`received ${formatBytes(this.receivedBytes)}`] : []),
    ];
    const perSecond = formatBytes(Math.round(durationMs > 0 ? (bytes * 1_000) / durationMs : 0));
    return `${ways.join(", ") || "nothing yet"}, ${perSecond}/s, ${formatDuration(this.#now() - this.#startedAtMs)}`;
  }
}
