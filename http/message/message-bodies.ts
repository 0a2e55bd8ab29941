import { Code } from "@connectrpc/connect";
import type { Channel } from "../../link/channel/channel.js";
import { fromConnectError } from "../../stream/error/failure-detail.js";
import { StreamError } from "../../stream/error/stream-error.js";
import { Condition, Deferred } from "../../stream/platform/deferred.js";
import { violation } from "./head.js";

type Life = { kind: "open" } | { kind: "closed" } | { kind: "failed"; reason: unknown };

/** The two bodies of a call as streams of bytes: the one that comes is read at its reader's pace. */
export class MessageBodies {
  /** Resolves when the peer's body has been read to its end, and rejects if the call fails before. */
  readonly whole = new Deferred<void>();
  readonly #channel: Channel;
  readonly #onOver: (reason: unknown) => void;
  readonly #changed = new Condition();
  /** Undefined before somebody has asked for the peer's body. */
  #controller: ReadableStreamDefaultController<Uint8Array<ArrayBuffer>> | undefined;
  #life: Life = { kind: "open" };
  #reading: "kept" | "dropped" | "over" = "kept";
  #sending: "free" | "full" = "free";
  /** The bytes of the peer's body that are still to come, where it has said so. */
  #leftBytes: number | undefined;
  #stopSending: (reason: unknown) => void = () => {};

  /** `onOver` is called when the call is over, with the reason if it failed. */
  constructor(channel: Channel, onOver: (reason: unknown) => void) {
    this.#channel = channel;
    this.#onOver = onOver;
    channel.pause();
    channel.use({
      onData: (chunk) => this.#receive(chunk),
      onEnd: () => this.#end(),
      onDrain: () => {
        this.#sending = "free";
        this.#changed.notify();
      },
      onClosed: (error) => this.#close(error),
    });
  }

  /** Returns the peer's body, once. Cancelling it ends the call. No stream is made for a body that nobody asks for. */
  received(): ReadableStream<Uint8Array<ArrayBuffer>> {
    return new ReadableStream(
      {
        start: (controller) => {
          this.#controller = controller;
          if (this.#life.kind === "failed") controller.error(this.reason);
        },
        pull: () => this.#channel.resume(),
        cancel: (reason) => this.abort(reason),
      },
      { highWaterMark: 0 },
    );
  }

  /** Whether the call is over: nothing more can be sent. */
  get isOver(): boolean {
    return this.#life.kind !== "open";
  }

  /** Why the call failed, if it did. */
  get reason(): unknown {
    return this.#life.kind === "failed" ? this.#life.reason : undefined;
  }

  /** The trailers of the peer's body, once that has been read to its end. Rejects if the call fails before. */
  get trailers(): Promise<Headers> {
    return this.whole.promise.then(() => this.#channel.trailer);
  }

  /** Fails the call if the peer's body has another length. */
  expect(bytes: number | undefined): void {
    this.#leftBytes = bytes;
  }

  /** Reads the peer's body to its end, and drops it. */
  drop(): void {
    this.#reading = "dropped";
    this.#channel.resume();
  }

  /** Ends the call. Readers on this side get the reason as it is. */
  abort(reason: unknown): void {
    if (this.#life.kind === "failed") return;
    this.#life = { kind: "failed", reason };
    this.#channel.reset(errorOf(reason));
    // The channel may have been over before, with bytes that are still unread.
    this.#settle();
  }

  /** Fails the reader of the peer's body, if it has not read it to its end: no more of it comes. */
  abandon(): void {
    if (this.#life.kind === "failed" || this.#reading === "over") return;
    const reason = new StreamError("the response ended before its request was read", { code: Code.Canceled });
    this.#life = { kind: "failed", reason };
    this.#failReader(reason);
  }

  /**
   * Sends a body at the pace of credit and link. Resolves when it is queued, or when the call is over before. Rejects
   * with what the body fails with, and if it has another length than `bytes`.
   */
  async send(body: ReadableStream<Uint8Array>, bytes?: number): Promise<void> {
    const reader = body.getReader();
    this.#stopSending = (reason) => void reader.cancel(reason).catch(() => {});
    if (this.#life.kind !== "open") this.#stopSending(this.reason);
    let leftBytes = bytes ?? Number.POSITIVE_INFINITY;
    try {
      for (;;) {
        const { done, value } = await reader.read();
        if (this.#life.kind !== "open") return;
        if (done) break;
        // Views of larger elements would be sent as numbers modulo 256. The class may be the one of another realm.
        if (value?.BYTES_PER_ELEMENT !== 1) throw new TypeError("a body consists of Uint8Arrays");
        leftBytes -= value.byteLength;
        if (leftBytes < 0) throw longerError(bytes);
        if (!this.#channel.write(value)) this.#sending = "full";
        while (this.#sending === "full" && this.#life.kind === "open") await this.#changed.changed();
      }
      if (bytes !== undefined && leftBytes > 0) throw shorterError(leftBytes);
    } catch (reason) {
      this.#stopSending(reason);
      throw reason;
    }
  }

  #receive(chunk: Uint8Array): void {
    if (this.#leftBytes !== undefined) {
      if (chunk.byteLength > this.#leftBytes) return this.abort(longerError());
      this.#leftBytes -= chunk.byteLength;
    }
    if (this.#reading === "dropped") return;
    this.#channel.pause();
    this.#controller?.enqueue(ownMemory(chunk));
  }

  #end(): void {
    if (this.#leftBytes) return this.abort(shorterError(this.#leftBytes));
    this.#reading = "over";
    this.whole.resolve();
    if (this.#life.kind !== "failed") this.#controller?.close();
  }

  #close(error: StreamError | undefined): void {
    // A reader that gave up has its own reason already; the channel gives it as a StreamError.
    if (this.#life.kind !== "failed") {
      this.#life = error === undefined ? { kind: "closed" } : { kind: "failed", reason: error };
    }
    this.#settle();
  }

  /** May be called twice for one end, which does nothing more the second time. */
  #settle(): void {
    const reason = this.reason;
    this.#stopSending(reason);
    this.#changed.notify();
    if (this.#life.kind === "failed") this.#failReader(reason);
    this.#onOver(reason);
  }

  #failReader(reason: unknown): void {
    this.whole.reject(reason);
    this.#controller?.error(reason);
  }
}

/** The error that tells the peer why this side ends a call. */
function errorOf(reason: unknown): StreamError {
  if (reason instanceof StreamError) return reason;
  const isCancel = reason === undefined || (reason as Error | null)?.name === "AbortError";
  return isCancel ? new StreamError("the call was canceled", { code: Code.Canceled }) : fromConnectError(reason);
}

/** An application may transfer the bytes that it reads, so they share no buffer with others. */
function ownMemory(chunk: Uint8Array): Uint8Array<ArrayBuffer> {
  const isAlone = chunk.byteLength === chunk.buffer.byteLength && chunk.buffer instanceof ArrayBuffer;
  return isAlone ? (chunk as Uint8Array<ArrayBuffer>) : new Uint8Array(chunk);
}

function longerError(bytes?: number): StreamError {
  return violation(`the body is longer than its Content-Length${bytes === undefined ? "" : ` of ${bytes} bytes`}`);
}

function shorterError(missingBytes: number): StreamError {
  return violation(`the body is ${missingBytes} bytes shorter than its Content-Length`);
}
