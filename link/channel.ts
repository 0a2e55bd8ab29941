import { create } from "@bufbuild/protobuf";
import { Code } from "@connectrpc/connect";
import { Failure, Hop } from "../gen/streamserver/v1/failure_pb.js";
import { ResetSchema } from "../gen/streamserver/v1/frame_pb.js";
import {
  ChannelEndSchema,
  type ChannelRequest,
  type ChannelResponse,
  type Header,
  type Packet,
  PacketSchema,
} from "../gen/streamserver/v1/link_pb.js";
import { Parts } from "../leg/parts.js";
import { transferredAwayError } from "../stream/bytes.js";
import { Deferred } from "../stream/deferred.js";
import { toConnectError } from "../stream/failure-detail.js";
import { codeFromWire, cutReason, StreamError } from "../stream/stream-error.js";
import { ByteQueue } from "./byte-queue.js";
import { headBytes, headersFromWire, maxHeadBytes } from "./header.js";
import type { IncomingPacket } from "./link-message.js";
import type { OutgoingPacket } from "./outgoing-packet.js";

/** A channel's window at first, which each side may send before the first grant. `Packet.credit`. */
export const channelWindowBytes = 262_144;
/** The largest window of a channel whose reader keeps up. */
export const maxChannelWindowBytes = 1_048_576;

/** The services of a link that its channels use. */
export interface ChannelPort {
  role: "client" | "relay";
  /** Queues a packet, unless the link is over. */
  enqueue(packet: OutgoingPacket): void;
  /**
   * Returns whether a channel may queue a packet of data now. If not, it waits for its turn, and the link calls
   * `Channel.goOn`.
   */
  takeTurn(channel: Channel): boolean;
  maxPacketBytes: number;
  maxSentPacketBytes: number;
  /** Takes bytes for a wider window from the link's allowance for all channels. Returns false if too few are left. */
  widen(bytes: number): boolean;
  /** The channel is over; packets for it need not be handed in any more. */
  onClosed(channel: Channel): void;
}

/** The code that sends and reads a channel's bodies. Its methods do not throw. */
export interface ChannelUser {
  /** Takes the next bytes of the other side's body, in the turn in which they come. */
  onData(chunk: Uint8Array): void;
  /** The other side's body has been read to its end. */
  onEnd(): void;
  /** Everything that `Channel.write` said to wait for has been queued. */
  onDrain(): void;
  /**
   * The channel is over: with an error if it failed, and then `onEnd` does not come. Bytes that came before its end can
   * still be read.
   */
  onClosed(error: StreamError | undefined): void;
}

type ChannelState =
  | { kind: "open"; sending: "open" | "ending" | "ended"; receiving: "head" | "body" | "ended" }
  | { kind: "closed" }
  | { kind: "failed"; error: StreamError };

/** One RPC on a link, from either end: a head each way, then bytes each way, each direction within its credit. */
export class Channel {
  readonly id: number;
  /** The head of the answer. Rejects if the channel fails before. */
  readonly response = new Deferred<ChannelResponse>();
  /** The trailers of the answer, once the body is read. */
  readonly trailer = new Headers();
  readonly #port: ChannelPort;
  readonly #inbound = new ByteQueue();
  /** Written data that waits for credit or for its turn. */
  readonly #unsent: Parts[] = [];
  #user: ChannelUser | undefined;
  #reading: "on" | "paused" | "told of the end" = "on";
  #state: ChannelState;
  /** Sent with the end of an answer. */
  #trailers: Header[] = [];
  #receivedBytes = 0;
  #consumedBytes = 0;
  #windowBytes = channelWindowBytes;
  #grantedBytes = channelWindowBytes;
  #sentBytes = 0;
  #creditBytes = channelWindowBytes;

  constructor(id: number, port: ChannelPort) {
    this.id = id;
    this.#port = port;
    // A relay's channel begins with what opens it, which is the head.
    this.#state = { kind: "open", sending: "open", receiving: port.role === "client" ? "head" : "body" };
  }

  /** Bytes of the link's allowance that this channel has taken for its wider window. */
  get widenedBytes(): number {
    return this.#windowBytes - channelWindowBytes;
  }

  /** Hands the bodies to the code that uses them. The bytes that have come are read at once. */
  use(user: ChannelUser): void {
    this.#user = user;
    if (this.#state.kind !== "open") user.onClosed(this.#error);
    this.#deliver();
  }

  request(request: ChannelRequest): void {
    this.#enqueue({ case: "request", value: request });
  }

  respond(response: ChannelResponse): void {
    this.#enqueue({ case: "response", value: response });
  }

  /**
   * Sends some of the body. Returns false if it has to wait for credit or for its turn: go on at `onDrain`. Nothing
   * happens if the channel is over, which `onClosed` has said.
   */
  write(data: Uint8Array | Parts): boolean {
    if (this.#state.kind !== "open") return true;
    const chunk = data instanceof Parts ? data : new Parts([data]);
    const rest = this.#unsent.length > 0 ? chunk : this.#send(chunk);
    if (rest === undefined) return true;
    this.#unsent.push(rest);
    return false;
  }

  /** Sends data that waits, because there is credit or because it is the channel's turn. */
  goOn(): void {
    if (this.#unsent.length === 0) return;
    for (let next = this.#unsent[0]; next !== undefined; next = this.#unsent[0]) {
      const rest = this.#send(next);
      if (this.#state.kind !== "open") return;
      if (rest !== undefined) {
        this.#unsent[0] = rest;
        return;
      }
      this.#unsent.shift();
    }
    if (this.#state.kind === "open" && this.#state.sending === "ending") this.#finish();
    else this.#user?.onDrain();
  }

  /** Sends as much data as may go now, and returns the rest, if there is any. */
  #send(chunk: Parts): Parts | undefined {
    let rest = chunk;
    while (rest.byteLength > 0) {
      if (!this.#hasCredit(rest.byteLength) || !this.#port.takeTurn(this)) return rest;
      if (!rest.isWhole) {
        this.reset(transferredAwayError());
        return undefined;
      }
      const bytes = Math.min(this.#maxCutBytes, rest.byteLength);
      this.#sentBytes += bytes;
      this.#port.enqueue({ channel: this.id, data: rest.subarray(0, bytes) });
      this.#grantFrom(this.#windowBytes / 4);
      // The link has been cut off if it had no room for the packets.
      if (this.#error !== undefined) return undefined;
      rest = rest.subarray(bytes, rest.byteLength);
    }
    return undefined;
  }

  /** A reader has to join the packets of data that was cut, so data is not cut for lack of credit. */
  #hasCredit(bytes: number): boolean {
    return this.#creditBytes - this.#sentBytes >= Math.min(bytes, this.#maxCutBytes);
  }

  /** A packet that is larger than the first window would never go out. */
  get #maxCutBytes(): number {
    return Math.min(this.#port.maxSentPacketBytes, channelWindowBytes);
  }

  /** Client: the request is whole, once everything written is sent. The answer may go on. */
  endRequest(): void {
    this.#endBody([]);
  }

  /** Relay: the answer is whole and the channel closed, once everything written is sent. */
  endResponse(trailers: Header[]): void {
    this.#endBody(trailers);
  }

  #endBody(trailers: Header[]): void {
    if (this.#state.kind !== "open" || this.#state.sending !== "open") return;
    this.#trailers = trailers;
    this.#state = { ...this.#state, sending: "ending" };
    if (this.#unsent.length === 0) this.#finish();
  }

  #finish(): void {
    if (this.#state.kind !== "open") return;
    this.#enqueue({ case: "end", value: create(ChannelEndSchema, { trailers: this.#trailers }) });
    if (this.#port.role === "relay") this.#close({ kind: "closed" });
    else this.#state = { ...this.#state, sending: "ended" };
  }

  /** Ends the channel both ways and tells the other side. */
  reset(error: StreamError): void {
    if (this.#state.kind !== "open") return;
    const { code, message, failure } = error;
    this.#enqueue({ case: "reset", value: create(ResetSchema, { code, reason: cutReason(message), failure }) });
    this.fail(error);
  }

  /** Ends the channel both ways without a word to the other side, which knows or is gone. */
  fail(error: StreamError): void {
    if (this.#state.kind === "open") this.#close({ kind: "failed", error });
  }

  /** Stops `onData` until `resume`. The other side is stopped when a window of bytes waits. */
  pause(): void {
    if (this.#reading === "on") this.#reading = "paused";
  }

  resume(): void {
    if (this.#reading !== "paused") return;
    this.#reading = "on";
    this.#deliver();
  }

  #deliver(): void {
    const user = this.#user;
    if (user === undefined) return;
    while (this.#reading === "on") {
      const chunk = this.#inbound.shift();
      if (chunk === undefined) break;
      this.#consume(chunk.byteLength);
      if (this.#error !== undefined) return;
      user.onData(chunk);
    }
    if (this.#reading !== "on" || !this.#isWhole) return;
    this.#reading = "told of the end";
    user.onEnd();
  }

  /** Whether no more bytes will come, of a channel that has not failed. */
  get #isWhole(): boolean {
    // A relay closes a channel with its answer, whether it has read the request or not.
    if (this.#state.kind === "closed") return this.#port.role === "client";
    return this.#state.kind === "open" && this.#state.receiving === "ended";
  }

  /** Takes a packet of this channel from the other side; not `request`, which makes the channel. */
  receive({ content }: IncomingPacket): void {
    if (this.#state.kind !== "open") return;
    const { receiving } = this.#state;
    switch (content.case) {
      case "credit":
        this.#creditBytes = Math.max(this.#creditBytes, Number(content.value));
        return this.goOn();
      case "reset": {
        const { code, reason, failure } = content.value;
        return this.fail(new StreamError(reason, { code: codeFromWire(code), failure, hop: Hop.PEER }));
      }
      case "response":
        if (receiving !== "head") break;
        this.#state = { ...this.#state, receiving: "body" };
        return this.response.resolve(content.value);
      case "data":
        if (receiving !== "body") break;
        return this.#receiveData(content.value);
      case "end":
        if (receiving !== "body") break;
        return this.#receiveEnd(content.value.trailers);
      // A kind of packet that this code does not know.
      case undefined:
        return;
    }
    this.#violation(Failure.PROTOCOL_VIOLATION, `a packet of the kind ${content.case} out of order on a channel`);
  }

  #receiveEnd(trailers: readonly Header[]): void {
    if (this.#state.kind !== "open") return;
    if (headBytes(trailers) > maxHeadBytes) {
      return this.#violation(
        Failure.FRAME_TOO_LARGE,
        `the trailers of a channel are larger than ${maxHeadBytes} bytes`,
      );
    }
    try {
      for (const [name, value] of headersFromWire(trailers)) this.trailer.append(name, value);
    } catch (reason) {
      return this.reset(StreamError.from(reason));
    }
    if (this.#port.role === "client") return this.#close({ kind: "closed" });
    this.#state = { ...this.#state, receiving: "ended" };
    this.#deliver();
  }

  #receiveData(data: Uint8Array): void {
    if (data.byteLength > this.#port.maxPacketBytes) {
      return this.#violation(Failure.FRAME_TOO_LARGE, `a packet of ${data.byteLength} bytes`);
    }
    this.#receivedBytes += data.byteLength;
    if (this.#receivedBytes > this.#grantedBytes) {
      return this.#violation(Failure.CREDIT_EXCEEDED, "more data on a channel than was granted");
    }
    const user = this.#user;
    if (user === undefined || this.#reading !== "on" || !this.#inbound.isEmpty) return this.#inbound.push(data);
    if (data.byteLength === 0) return;
    this.#consume(data.byteLength);
    // The link has been cut off if it had no room for the grant.
    if (this.#error === undefined) user.onData(data);
  }

  #consume(bytes: number): void {
    this.#consumedBytes += bytes;
    if (this.#state.kind !== "open") return;
    // Grants are few, but early enough that the other side always has credit for a whole packet. `Packet.credit`.
    this.#grantFrom(Math.min((this.#windowBytes * 3) / 4, this.#windowBytes - this.#port.maxPacketBytes));
  }

  /**
   * Grants what was read, if it is so much. Beside data it costs next to nothing; a message of its own costs as much as
   * any.
   */
  #grantFrom(minBytes: number): void {
    const ungrantedBytes = this.#consumedBytes + this.#windowBytes - this.#grantedBytes;
    if (ungrantedBytes < minBytes) return;
    const keepsUp = this.#inbound.isEmpty;
    if (keepsUp && this.#windowBytes < maxChannelWindowBytes && this.#port.widen(this.#windowBytes)) {
      this.#windowBytes *= 2;
    }
    this.#grantedBytes = this.#consumedBytes + this.#windowBytes;
    this.#enqueue({ case: "credit", value: BigInt(this.#grantedBytes) });
  }

  get #error(): StreamError | undefined {
    return this.#state.kind === "failed" ? this.#state.error : undefined;
  }

  #violation(failure: Failure, message: string): void {
    this.reset(new StreamError(message, { failure }));
  }

  #close(state: Exclude<ChannelState, { kind: "open" }>): void {
    this.#state = state;
    this.#unsent.length = 0;
    if (state.kind === "failed") this.#inbound.clear();
    const error = this.#error;
    this.response.reject(toConnectError(error ?? new StreamError("the channel is closed", { code: Code.Canceled })));
    this.#port.onClosed(this);
    this.#user?.onClosed(error);
    this.#deliver();
  }

  #enqueue(content: Packet["content"]): void {
    this.#port.enqueue(create(PacketSchema, { channel: this.id, content }));
  }
}
