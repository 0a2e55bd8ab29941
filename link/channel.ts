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
import { Condition, Deferred } from "../stream/deferred.js";
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
   * Calls `send` at once if the link has room for data, or else when it has, in the order of the calls; rejects when it
   * is over.
   */
  inTurn(channel: Channel, send: () => void): Promise<void> | undefined;
  maxPacketBytes: number;
  maxSentPacketBytes: number;
  /** Takes bytes for a wider window from the link's allowance for all channels. Returns false if too few are left. */
  widen(bytes: number): boolean;
  /** The channel is over; packets for it need not be handed in any more. */
  onClosed(channel: Channel): void;
}

type ChannelState =
  | { kind: "open"; sending: "open" | "ended"; receiving: "head" | "body" | "ended" }
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
  readonly #changed = new Condition();
  readonly #inbound = new ByteQueue();
  readonly #abort = new AbortController();
  #state: ChannelState;
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

  /** Aborted when the channel is over, with the reason where it failed. */
  get signal(): AbortSignal {
    return this.#abort.signal;
  }

  request(request: ChannelRequest): void {
    this.#enqueue({ case: "request", value: request });
  }

  respond(response: ChannelResponse): void {
    this.#enqueue({ case: "response", value: response });
  }

  /**
   * Sends a body at the pace of credit and link. Resolves when it is queued; rejects when the channel is over before.
   */
  async send(body: AsyncIterable<Uint8Array | Parts> | Iterable<Uint8Array>): Promise<void> {
    for await (const next of body) {
      const chunk = next instanceof Parts ? next : new Parts([next]);
      for (let from = 0; from < chunk.byteLength; ) {
        while (this.#state.kind === "open" && !this.#hasCredit(chunk.byteLength - from)) await this.#changed.changed();
        if (!chunk.isWhole) throw transferredAwayError();
        if (this.#state.kind === "open") {
          const turn = this.#port.inTurn(this, () => {
            if (chunk.isWhole) from += this.#sendSome(chunk.subarray(from, chunk.byteLength));
          });
          if (turn !== undefined) await turn;
        }
        if (this.#state.kind !== "open") throw toConnectError(this.#overError);
      }
    }
  }

  /** A reader has to join the packets of data that was cut, so data is not cut for lack of credit. */
  #hasCredit(bytes: number): boolean {
    return this.#creditBytes - this.#sentBytes >= Math.min(bytes, this.#maxCutBytes);
  }

  /** A packet that is larger than the first window would never go out. */
  get #maxCutBytes(): number {
    return Math.min(this.#port.maxSentPacketBytes, channelWindowBytes);
  }

  #sendSome(data: Parts): number {
    if (this.#state.kind !== "open") return 0;
    const bytes = Math.min(this.#maxCutBytes, data.byteLength);
    this.#sentBytes += bytes;
    this.#port.enqueue({ channel: this.id, data: data.subarray(0, bytes) });
    this.#grantFrom(this.#windowBytes / 4);
    return bytes;
  }

  /** Client: the request is whole; the answer may go on. */
  endRequest(): void {
    if (this.#state.kind !== "open" || this.#state.sending === "ended") return;
    this.#enqueue({ case: "end", value: create(ChannelEndSchema) });
    this.#state = { ...this.#state, sending: "ended" };
  }

  /** Relay: the answer is whole, and the channel closed. */
  endResponse(trailers: Header[]): void {
    if (this.#state.kind !== "open") return;
    this.#enqueue({ case: "end", value: create(ChannelEndSchema, { trailers }) });
    this.#close({ kind: "closed" });
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

  /** The bytes of the other side's body, for one reader. Throws if the channel failed before they were whole. */
  async *body(): AsyncGenerator<Uint8Array, void, undefined> {
    for (;;) {
      const chunk = this.#inbound.shift();
      if (chunk !== undefined) {
        this.#consume(chunk.byteLength);
        yield chunk;
        continue;
      }
      const state = this.#state;
      if (state.kind === "failed") throw toConnectError(state.error);
      if (state.kind === "closed" || state.receiving === "ended") return;
      await this.#changed.changed();
    }
  }

  /** Takes a packet of this channel from the other side; not `request`, which makes the channel. */
  receive({ content }: IncomingPacket): void {
    if (this.#state.kind !== "open") return;
    const { receiving } = this.#state;
    switch (content.case) {
      case "credit":
        this.#creditBytes = Math.max(this.#creditBytes, Number(content.value));
        return this.#changed.notify();
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
    this.#changed.notify();
  }

  #receiveData(data: Uint8Array): void {
    if (data.byteLength > this.#port.maxPacketBytes) {
      return this.#violation(Failure.FRAME_TOO_LARGE, `a packet of ${data.byteLength} bytes`);
    }
    this.#receivedBytes += data.byteLength;
    if (this.#receivedBytes > this.#grantedBytes) {
      return this.#violation(Failure.CREDIT_EXCEEDED, "more data on a channel than was granted");
    }
    this.#inbound.push(data);
    this.#changed.notify();
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

  get #overError(): StreamError {
    return this.#state.kind === "failed"
      ? this.#state.error
      : new StreamError("the channel is closed", { code: Code.Canceled });
  }

  #violation(failure: Failure, message: string): void {
    this.reset(new StreamError(message, { failure }));
  }

  #close(state: Exclude<ChannelState, { kind: "open" }>): void {
    this.#state = state;
    if (state.kind === "failed") this.#inbound.clear();
    this.response.reject(toConnectError(this.#overError));
    this.#changed.notify();
    this.#port.onClosed(this);
    this.#abort.abort(state.kind === "failed" ? toConnectError(state.error) : undefined);
  }

  #enqueue(content: Packet["content"]): void {
    this.#port.enqueue(create(PacketSchema, { channel: this.id, content }));
  }
}
