import { Code, Failure, StreamError } from "browser-stream-server";
import type { RoomStream } from "../room/message.js";

export type TransferState =
  | { kind: "waiting" }
  | { kind: "running"; stream: RoomStream }
  /** `file` is the received file; the sending side has none. */
  | { kind: "done"; file: Blob | undefined }
  | { kind: "cancelled"; by: "this side" | "other side" }
  | { kind: "failed"; reason: "not offered any more" | "connection lost" | "unreadable" };

/** The rate is taken over spans of this length, and smoothed. */
const rateSpanMs = 400;
const smoothing = 0.4;

/** One file on its way to or from one peer: how far it is, and how it ended. */
export class Transfer {
  /** Called when it has moved or changed. */
  onChange: () => void = () => {};
  #state: TransferState = { kind: "waiting" };
  #transferredBytes = 0;
  #bytesPerSecond = 0;
  #mark = { atMs: performance.now(), bytes: 0 };

  constructor(
    readonly peer: string,
    readonly sizeBytes: number,
  ) {}

  get state(): TransferState {
    return this.#state;
  }

  get transferredBytes(): number {
    return this.#transferredBytes;
  }

  get bytesPerSecond(): number {
    return this.#bytesPerSecond;
  }

  get isOver(): boolean {
    return this.#state.kind !== "waiting" && this.#state.kind !== "running";
  }

  /** Takes the stream that carries it. False, and the stream is destroyed, if it was cancelled before. */
  start(stream: RoomStream): boolean {
    if (this.#state.kind !== "waiting") {
      stream.destroy();
      return false;
    }
    this.#mark = { atMs: performance.now(), bytes: 0 };
    this.#set({ kind: "running", stream });
    return true;
  }

  moved(transferredBytes: number): void {
    if (this.isOver) return;
    this.#transferredBytes = transferredBytes;
    const spanMs = performance.now() - this.#mark.atMs;
    if (spanMs >= rateSpanMs) {
      const now = ((transferredBytes - this.#mark.bytes) * 1000) / spanMs;
      this.#bytesPerSecond =
        this.#bytesPerSecond === 0 ? now : this.#bytesPerSecond * (1 - smoothing) + now * smoothing;
      this.#mark = { atMs: performance.now(), bytes: transferredBytes };
    }
    this.onChange();
  }

  finish(file?: Blob): void {
    if (this.isOver) return;
    this.#transferredBytes = this.sizeBytes;
    this.#set({ kind: "done", file });
  }

  cancel(): void {
    if (this.isOver) return;
    const { stream } = { stream: undefined, ...this.#state };
    this.#set({ kind: "cancelled", by: "this side" });
    stream?.destroy();
  }

  fail(error: unknown): void {
    if (this.isOver) return;
    const { code, failure } = StreamError.from(error);
    if (code === Code.Canceled) this.#set({ kind: "cancelled", by: "other side" });
    else if (code === Code.NotFound && failure === Failure.DECLINED) {
      this.#set({ kind: "failed", reason: "not offered any more" });
    } else this.#set({ kind: "failed", reason: code === Code.DataLoss ? "unreadable" : "connection lost" });
  }

  #set(state: TransferState): void {
    this.#state = state;
    this.onChange();
  }
}
