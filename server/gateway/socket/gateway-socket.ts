import { isUtf8 } from "node:buffer";
import type { Socket } from "node:net";
import { Code } from "@connectrpc/connect";
import type { WebSocket } from "ws";
import { Failure } from "../../../gen/streamserver/v1/failure_pb.js";
import { atIntervals } from "../../../link/at-intervals.js";
import type { Codec } from "../../../stream/codec.js";
import { defaultWindowBytes } from "../../../stream/endpoint/endpoint.js";
import type { EncodedMessage, ReceivedMessage } from "../../../stream/endpoint/sender.js";
import { StreamError } from "../../../stream/error/stream-error.js";
import type { Clock } from "../../../stream/platform/clock.js";
import type { Stream } from "../../../stream/stream.js";
import {
  abnormalClosure,
  badGateway,
  closeError,
  closureOf,
  goingAway,
  normalClosure,
  noStatus,
} from "../../../websocket/close-code.js";
import type { Caller } from "../../admission/caller.js";
import type { Holder } from "../../admission/held-bytes.js";
import { TokenBucket } from "../../admission/rates/token-bucket.js";
import { closeTimeoutMs } from "../../http/open-responses.js";
import type { CallBytes } from "../../relay/relay-events.js";

/** Messages as they come: the bytes, and whether they are text. */
export const socketCodec: Codec<ReceivedMessage, EncodedMessage> = {
  encode: (message) => message,
  decode: (message) => message,
};

/** The stream of a WebSocket. */
export type SocketStream = Stream<ReceivedMessage, EncodedMessage>;

/** The stream is paused while the socket holds more unsent bytes than this. */
const socketHighWaterMarkBytes = 262_144;
/**
 * Pings and pongs that a client may send at once, and in each second. A client pings a few times a minute, and answers
 * one ping in each heartbeat of the relay.
 */
const idleFrames = { burst: 1_000, perSecond: 100 };
/** A client that has sent nothing for so many heartbeats, in which it was pinged, is gone. */
const heartbeatsUntilSilent = 3;
/**
 * A client that has much to read before it comes to the ping is gone after so many silent heartbeats: ten minutes by
 * default, in which a reader of 1 KB/s takes 600 KB, about as much as kernels hold for one that does not keep up.
 */
const heartbeatsUntilStalled = 40;
/** So much to read is much: it takes a reader of 1 KB/s the time of a heartbeat. */
const muchBytes = 16_384;
/**
 * The listener has this long to take what the client has sent before it closed, and to finish. It is more than the 120
 * s for which the relay waits for a listener whose connection is lost.
 */
const lingerMs = 150_000;
/** How often is looked whether a reset may follow the messages before it, of which no event tells. */
const handedOnIntervalMs = 20;

const textFrame = { binary: false };
const binaryFrame = { binary: true };

export interface GatewaySocketInit {
  socket: WebSocket;
  /** The connection under the socket. */
  connection: Socket;
  /** The stream, which the listener has accepted. */
  stream: SocketStream;
  /** The client of the WebSocket. */
  caller: Caller;
  clock: Clock;
  heartbeatIntervalMs: number;
  /** Called if the client is cut off for what it sends. */
  onCutOff: (message: string) => void;
}

/**
 * - "open": messages travel.
 * - "closing": the listener has finished, or the relay leaves. The client is told with `code` when it has taken all
 *   messages.
 * - "left": the client has closed, or is cut off, and the listener hears of it behind all messages of the client's.
 * - "over": the stream has ended, and the client was told why.
 */
type GatewaySocketState =
  | { kind: "open" }
  | { kind: "closing"; code: number; told: "not yet" | "told" }
  | { kind: "left"; cancelDeadline: () => void }
  | { kind: "over" };

/**
 * A WebSocket and its stream: messages pass each way as they come, at the reader's pace, and either ends with the
 * other.
 */
export class GatewaySocket implements Holder {
  readonly caller: Caller;
  readonly #socket: WebSocket;
  readonly #connection: Socket;
  readonly #stream: SocketStream;
  readonly #clock: Clock;
  readonly #onCutOff: (message: string) => void;
  readonly #idle: TokenBucket;
  #state: GatewaySocketState = { kind: "open" };
  /** The heartbeats without a sign of life, and the bytes that waited, and were sent, when the last one was seen. */
  #quiet = { heartbeats: 0, unsentBytes: 0, sentBytes: 0 };
  #heard: "something" | "nothing" = "nothing";
  #reading: "on" | "paused" = "on";
  /** The bytes of the messages that have gone on so far, of the client and of the listener. */
  readonly bytes: CallBytes = { request: 0, answer: 0 };

  constructor({ socket, connection, stream, caller, clock, heartbeatIntervalMs, onCutOff }: GatewaySocketInit) {
    this.#socket = socket;
    this.#connection = connection;
    this.#stream = stream;
    this.caller = caller;
    this.#clock = clock;
    this.#onCutOff = onCutOff;
    this.#idle = new TokenBucket(clock, idleFrames);
    const stopBeating = atIntervals(clock, heartbeatIntervalMs, () => this.#onHeartbeat());
    connection.on("data", () => {
      this.#heard = "something";
    });
    connection.on("drain", () => this.#onDrain());
    socket.on("ping", () => this.#onIdle()).on("pong", () => this.#onIdle());
    socket.on("message", (data: Buffer, isBinary) => this.#toListener(data, isBinary));
    socket.on("error", (error) => this.#leave(violation(error)));
    socket.on("close", (code, reason) => {
      stopBeating();
      this.#leave(endOf(code, reason.toString()));
    });
    stream.on("drain", () => socket.resume());
    stream.on("data", (message) => this.#toClient(message));
    stream.on("end", () => this.close(normalClosure));
    stream.closed.then(
      () => this.#over(normalClosure, ""),
      (error: StreamError) => {
        const { code, reason } = closureOf(error);
        this.#over(code === abnormalClosure ? badGateway : code, reason);
      },
    );
  }

  /** Closes the WebSocket with a code when the client has taken all messages, and finishes the stream. */
  close(code = goingAway): void {
    if (this.#state.kind !== "open") return;
    this.#set({ kind: "closing", code, told: "not yet" });
    // A client that was held back shall be heard to its end.
    this.#socket.resume();
    this.#tellClosing();
  }

  #toListener(data: Buffer, isBinary: boolean): void {
    if (this.#state.kind !== "open" && this.#state.kind !== "closing") return;
    try {
      this.bytes.request += data.byteLength;
      if (!this.#stream.write({ data, text: !isBinary })) this.#socket.pause();
    } catch (reason) {
      this.#stream.destroy(reason);
    }
  }

  #toClient({ data, text }: ReceivedMessage): void {
    if (this.#state.kind !== "open" || this.#socket.readyState !== this.#socket.OPEN) return;
    if (text && !isUtf8(data)) {
      const message = "the listener has sent a text that is not valid UTF-8";
      return void this.#stream.destroy(new StreamError(message, { failure: Failure.PROTOCOL_VIOLATION }));
    }
    if (this.#connection.writableCorked === 0) {
      // Small messages of one turn go out together, because each write wakes the client.
      this.#connection.cork();
      process.nextTick(uncork, this.#connection);
    }
    this.#socket.send(data, text ? textFrame : binaryFrame);
    this.bytes.answer += data.byteLength;
    if (this.#socket.bufferedAmount > socketHighWaterMarkBytes) {
      this.#reading = "paused";
      this.#stream.pause();
    }
  }

  /**
   * The bytes that wait in the socket and in the stream, which holds a window at most of messages that nobody reads.
   */
  get heldBytes(): number {
    const unreadBytes = this.#reading === "paused" ? defaultWindowBytes : 0;
    return this.#socket.bufferedAmount + this.#stream.bufferedBytes + unreadBytes;
  }

  get passedBytes(): number {
    return this.bytes.answer;
  }

  /** Ends the stream, and the WebSocket without a word to its client, which does not read. */
  endHeld(error: StreamError): void {
    this.#stream.destroy(error);
    setImmediate(() => this.#socket.terminate());
  }

  #onDrain(): void {
    this.#reading = "on";
    if (this.#state.kind === "closing") this.#tellClosing();
    else if (this.#state.kind === "open") this.#stream.resume();
  }

  #tellClosing(): void {
    if (this.#state.kind !== "closing" || this.#state.told === "told" || this.#connection.writableNeedDrain) return;
    this.#set({ ...this.#state, told: "told" });
    this.#closeSocket(this.#state.code, "");
  }

  /** The client has closed, without an error or with one for the listener. */
  #leave(error: StreamError | undefined): void {
    const { kind } = this.#state;
    if (kind === "left" || kind === "over") return;
    // The listener may have something for the client still, which nobody reads.
    this.#stream.resume();
    const cancelDeadline = this.#clock.after(lingerMs, () => this.#stream.destroy(error), false);
    this.#set({ kind: "left", cancelDeadline });
    if (error === undefined || kind === "closing") this.#stream.end();
    else this.#resetWhenHandedOn(error);
  }

  /** A reset overtakes the messages that wait for the transport, so it waits for them. */
  #resetWhenHandedOn(error: StreamError): void {
    if (this.#state.kind !== "left") return;
    if (this.#stream.bufferedBytes === 0) this.#stream.destroy(error);
    else this.#clock.after(handedOnIntervalMs, () => this.#resetWhenHandedOn(error), false);
  }

  /** The stream has ended. */
  #over(code: number, reason: string): void {
    this.#set({ kind: "over" });
    this.#closeSocket(code, reason);
  }

  /** Tells the client why, as far as it still reads. */
  #closeSocket(code: number, reason: string): void {
    const socket = this.#socket;
    if (socket.readyState === socket.CLOSED) return;
    socket.resume();
    socket.close(code, reason);
    const stopWaiting = this.#clock.after(closeTimeoutMs, () => socket.terminate());
    socket.once("close", stopWaiting);
  }

  #onIdle(): void {
    if (this.#state.kind !== "open" || this.#idle.take()) return;
    const message = "a WebSocket was cut off, because it sends more pings and pongs than it has any use for";
    this.#onCutOff(message);
    this.#leave(new StreamError(message, { failure: Failure.LIMIT_REACHED }));
    setImmediate(() => this.#socket.terminate());
  }

  /** Pings the client, and cuts off one that is gone, or that reads no more. */
  #onHeartbeat(): void {
    const { heartbeats, unsentBytes, sentBytes } = this.#quiet;
    const { writableLength, bytesWritten } = this.#connection;
    const isHeard = this.#heard === "something";
    // A client that is held back may have sent something.
    const isAlive = isHeard || this.#socket.isPaused || writableLength < unsentBytes;
    this.#heard = "nothing";
    this.#quiet = {
      heartbeats: isAlive ? 0 : heartbeats + 1,
      unsentBytes: writableLength,
      sentBytes: isHeard ? bytesWritten : sentBytes,
    };
    const hasMuch = writableLength > 0 || bytesWritten - sentBytes > muchBytes;
    const max = hasMuch ? heartbeatsUntilStalled : heartbeatsUntilSilent;
    if (this.#quiet.heartbeats >= max) this.#socket.terminate();
    else if (this.#socket.readyState === this.#socket.OPEN && writableLength === 0) this.#socket.ping();
  }

  #set(state: GatewaySocketState): void {
    if (this.#state.kind === "left") this.#state.cancelDeadline();
    this.#state = state;
  }
}

/** The error with which the closing of a WebSocket ends its stream. Undefined if the client has finished. */
function endOf(code: number, reason: string): StreamError | undefined {
  if (code === normalClosure || code === goingAway || code === noStatus) return undefined;
  if (code !== abnormalClosure) return closeError(code, reason);
  return new StreamError("the connection of the WebSocket was lost", { failure: Failure.LEG_LOST });
}

/** The client has broken the rules of WebSockets, or of this one. `ws` tells it so. */
function violation(error: Error & { code?: string }): StreamError {
  const isTooLarge = error.code === "WS_ERR_UNSUPPORTED_MESSAGE_LENGTH";
  if (isTooLarge)
    return new StreamError("a message of the WebSocket is too large", { failure: Failure.MESSAGE_TOO_LARGE });
  const message = "the WebSocket has broken the rules of its protocol";
  return new StreamError(message, { failure: Failure.PROTOCOL_VIOLATION, code: Code.InvalidArgument, cause: error });
}

function uncork(connection: Socket): void {
  connection.uncork();
}
