import { create } from "@bufbuild/protobuf";
import { Failure, Hop } from "../../gen/streamserver/v1/failure_pb.js";
import {
  ChannelEndSchema,
  type ChannelRequest,
  type ChannelResponse,
  type Header,
  type Packet,
  PacketSchema,
} from "../../gen/streamserver/v1/link_pb.js";
import { Parts } from "../../leg/parts.js";
import { transferredAwayError } from "../../stream/endpoint/bytes.js";
import { SendCredit } from "../../stream/endpoint/send-credit.js";
import { toConnectError } from "../../stream/error/failure-detail.js";
import { errorOfReset, resetOf } from "../../stream/error/reset.js";
import { StreamError } from "../../stream/error/stream-error.js";
import { Deferred } from "../../stream/platform/deferred.js";
import { headBytes, headersFromWire, maxHeadBytes } from "../packet/header.js";
import type { IncomingPacket } from "../packet/link-message.js";
import type { OutgoingPacket } from "../packet/outgoing-packet.js";
import { ChannelInbox, channelWindowBytes, type InboxPort } from "./channel-inbox.js";
import type { ChannelUser } from "./channel-user.js";

/** The services of a link that its channels use. */
export interface ChannelPort extends InboxPort {
  role: "client" | "relay";
  /** Queues a packet, unless the link is over. */
  enqueue(packet: OutgoingPacket): void;
  /**
   * Returns whether a channel may queue a packet of data now. If not, it waits for its turn, and the link calls
   * `Channel.goOn`.
   */
  takeTurn(channel: Channel): boolean;
  maxSentPacketBytes: number;
  /** The channel is over; packets for it need not be handed in any more. */
  onClosed(channel: Channel): void;
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
  /** The trailers of the peer's body, once that is read. */
  readonly trailer = new Headers();
  readonly #port: ChannelPort;
  readonly #inbox: ChannelInbox;
  readonly #credit = new SendCredit(channelWindowBytes);
  /** Written data that waits for credit or for its turn. */
  readonly #unsent: Parts[] = [];
  #user: ChannelUser | undefined;
  #state: ChannelState;
  /** The trailers that are sent with the end of this side's body. */
  #trailers: Header[] = [];

  constructor(id: number, port: ChannelPort) {
    this.id = id;
    this.#port = port;
    this.#inbox = new ChannelInbox(port, (offsetBytes) =>
      this.#enqueue({ case: "credit", value: BigInt(offsetBytes) }),
    );
    // A relay's channel is made by its request, which is the head.
    this.#state = { kind: "open", sending: "open", receiving: port.role === "client" ? "head" : "body" };
  }

  /** Bytes that wait: those of the peer to be read, and those of this side to be sent. */
  get waitingBytes(): number {
    return this.#unsent.reduce((bytes, { byteLength }) => bytes + byteLength, this.#inbox.unreadBytes);
  }

  /** Hands the bodies to the code that uses them. The bytes that have come are read at once. */
  use(user: ChannelUser): void {
    this.#user = user;
    if (this.#state.kind !== "open") user.onClosed(this.#error);
    this.#inbox.use(user);
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
    if (this.#state.kind !== "open" || data.byteLength === 0) return true;
    this.#unsent.push(data instanceof Parts ? data : new Parts([data]));
    return this.#send();
  }

  /** Sends data that waits, because there is credit or because it is the channel's turn. */
  goOn(): void {
    if (this.#unsent.length === 0 || !this.#send() || this.#state.kind !== "open") return;
    if (this.#state.sending === "ending") this.#finish();
    else this.#user?.onDrain();
  }

  /** Sends as much of the unsent data as may go now. Returns false if some of it has to wait. */
  #send(): boolean {
    for (let next = this.#unsent[0]; next !== undefined; next = this.#unsent[0]) {
      // A reader has to join the packets of data that was cut, so data is not cut for lack of credit.
      const bytes = Math.min(this.#maxCutBytes, next.byteLength);
      if (this.#credit.roomBytes < bytes || !this.#port.takeTurn(this)) return false;
      if (!next.isWhole) {
        this.reset(transferredAwayError());
        return true;
      }
      if (bytes === next.byteLength) this.#unsent.shift();
      else this.#unsent[0] = next.subarray(bytes, next.byteLength);
      this.#credit.send(bytes);
      this.#port.enqueue({ channel: this.id, data: next.subarray(0, bytes) });
      this.#inbox.grantAlong();
    }
    return true;
  }

  /** Data is cut into packets of at most the first window, because a larger packet would never get credit. */
  get #maxCutBytes(): number {
    return Math.min(this.#port.maxSentPacketBytes, channelWindowBytes);
  }

  /**
   * Ends the body of this side, once everything written is sent. The answer to a request may go on; the end of an
   * answer closes the channel.
   */
  end(trailers: Header[] = []): void {
    if (this.#state.kind !== "open" || this.#state.sending !== "open") return;
    this.#trailers = trailers;
    this.#set({ ...this.#state, sending: "ending" });
    if (this.#unsent.length === 0) this.#finish();
  }

  #finish(): void {
    if (this.#state.kind !== "open") return;
    this.#enqueue({ case: "end", value: create(ChannelEndSchema, { trailers: this.#trailers }) });
    if (this.#port.role === "relay") this.#close({ kind: "closed" });
    else this.#set({ ...this.#state, sending: "ended" });
  }

  /** Ends the channel both ways and tells the peer. */
  reset(error: StreamError): void {
    if (this.#state.kind !== "open") return;
    this.#enqueue({ case: "reset", value: resetOf(error) });
    this.fail(error);
  }

  /** Ends the channel both ways without telling the peer, which knows or is gone. */
  fail(error: StreamError): void {
    if (this.#state.kind === "open") this.#close({ kind: "failed", error });
  }

  /** Stops `onData` until `resume`. The peer is stopped when a window of bytes waits. */
  pause(): void {
    this.#inbox.pause();
  }

  resume(): void {
    this.#inbox.resume();
  }

  /** Takes a packet of this channel from the peer. A `request` is none: it makes the channel. */
  receive({ content }: IncomingPacket): void {
    if (this.#state.kind !== "open") return;
    const { receiving } = this.#state;
    switch (content.case) {
      case "credit":
        this.#credit.grant(Number(content.value));
        return this.goOn();
      case "reset":
        return this.fail(errorOfReset(content.value, Hop.PEER));
      case "response":
        if (receiving !== "head") break;
        this.#set({ ...this.#state, receiving: "body" });
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
    if (this.#port.role === "client") this.#close({ kind: "closed" });
    else this.#set({ ...this.#state, receiving: "ended" });
    this.#inbox.end();
  }

  #receiveData(data: Uint8Array): void {
    if (data.byteLength > this.#port.maxPacketBytes) {
      return this.#violation(Failure.FRAME_TOO_LARGE, `a packet of ${data.byteLength} bytes`);
    }
    if (!this.#inbox.receive(data)) {
      this.#violation(Failure.CREDIT_EXCEEDED, "more data on a channel than was granted");
    }
  }

  get #error(): StreamError | undefined {
    return this.#state.kind === "failed" ? this.#state.error : undefined;
  }

  #violation(failure: Failure, message: string): void {
    this.reset(new StreamError(message, { failure }));
  }

  #set(state: ChannelState): void {
    this.#state = state;
  }

  #close(state: Exclude<ChannelState, { kind: "open" }>): void {
    this.#set(state);
    this.#unsent.length = 0;
    // A channel that was answered can still be read, whether its request is whole or not.
    if (state.kind === "failed") this.#inbox.drop();
    else this.#inbox.cut();
    const error = this.#error;
    // A channel closes without an error only after its answer. To make an error takes as long as to pass on some
    // frames.
    if (error !== undefined) this.response.reject(toConnectError(error));
    this.#port.onClosed(this);
    this.#user?.onClosed(error);
  }

  #enqueue(content: Packet["content"]): void {
    this.#port.enqueue(create(PacketSchema, { channel: this.id, content }));
  }
}
