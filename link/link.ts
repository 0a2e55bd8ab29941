import { create } from "@bufbuild/protobuf";
import { Code } from "@connectrpc/connect";
import { Failure, Hop } from "../gen/streamserver/v1/failure_pb.js";
import { ResetSchema } from "../gen/streamserver/v1/frame_pb.js";
import {
  type ChannelRequest,
  type Packet,
  Packet_PingSchema,
  Packet_PongSchema,
  PacketSchema,
} from "../gen/streamserver/v1/link_pb.js";
import { transferredAwayError } from "../stream/bytes.js";
import { Condition, Deferred } from "../stream/deferred.js";
import { Fifo } from "../stream/fifo.js";
import { StreamError } from "../stream/stream-error.js";
import { Channel, type ChannelPort } from "./channel.js";
import { headBytes, maxHeadBytes } from "./header.js";
import { errorOfReset, type IncomingPacket } from "./link-message.js";
import type { OutgoingPacket } from "./outgoing-packet.js";

/** Bytes that a packet counts for, beside its data, while it waits to be sent. */
export const packetOverheadBytes = 64;
/** Data waits for room while more than this waits to be sent. */
const outboxHighWaterMarkBytes = 262_144;
/**
 * Packets that ask for no room, such as resets, may pile up to this; a peer that provokes more and reads none is cut
 * off.
 */
export const maxOutboxBytes = 4_194_304;
/** Requests may fill the outbox only up to 3 MiB, so that resets of their channels still fit under `maxOutboxBytes`. */
export const maxRequestsBytes = 3_145_728;

/** Unanswered pings before a link is cut off. A frozen tab answers none; at one per 15 s this covers 17 days. */
export const maxPings = 100_000;

/** The windows of all channels of a link together may grow by this. */
export const maxWidenedBytes = 16_777_216;

export interface LinkOptions {
  maxChannels: number;
  /** The largest packet that may come, in bytes of data. */
  maxPacketBytes: number;
  /** The largest packet that is sent, in bytes of data. Default `maxPacketBytes`. */
  maxSentPacketBytes?: number;
  /**
   * Relay: serves a channel that was opened, until what it returns resolves, which may be after the channel has closed;
   * it does not reject. On a client's link, nobody opens channels from the other side.
   */
  onRequest?: (channel: Channel, request: ChannelRequest) => Promise<void> | void;
}

/**
 * One end of a link: channels over a pipe of packets. The owner of the pipe calls `receive` for each packet that comes,
 * sends the packets of `nextBatch`, and calls `close` when the pipe breaks.
 */
export class Link {
  readonly #options: LinkOptions;
  readonly #port: ChannelPort;
  readonly #channels = new Map<number, Channel>();
  readonly #outbox = new Fifo<OutgoingPacket>();
  readonly #filled = new Condition();
  /** The channels that wait for room, in the order of their coming. */
  readonly #turns = new Set<Channel>();
  /** The channel whose turn it is to queue one packet. */
  #turn: Channel | undefined;
  /** The pings that were not answered yet. */
  readonly #pings = new Fifo<Deferred<void>>();
  readonly #closed = new Deferred<StreamError>();
  #state: { kind: "open" } | { kind: "closed"; error: StreamError } = { kind: "open" };
  #outboxBytes = 0;
  #widenedBytes = 0;
  /** Handlers that have not ended. A peer that resets their channels may open as many others at once. */
  #serving = 0;
  #lastChannel = 0;
  /** Called when the last channel has closed. */
  onIdle: () => void = () => {};
  /** Called when packets wait to be sent and before none did. */
  onFilled: () => void = () => {};

  constructor(options: LinkOptions) {
    this.#options = options;
    this.#port = {
      role: options.onRequest === undefined ? "client" : "relay",
      enqueue: (packet) => this.#enqueue(packet),
      takeTurn: (channel) => this.#takeTurn(channel),
      maxPacketBytes: options.maxPacketBytes,
      maxSentPacketBytes: options.maxSentPacketBytes ?? options.maxPacketBytes,
      widen: (bytes) => this.#widen(bytes),
      onClosed: (channel) => this.#onClosed(channel),
    };
  }

  /** How many channels are open. */
  get size(): number {
    return this.#channels.size;
  }

  get isOpen(): boolean {
    return this.#state.kind === "open";
  }

  /** Client: whether another channel can be opened. */
  get hasRoom(): boolean {
    return this.isOpen && this.#channels.size < this.#options.maxChannels;
  }

  /** Resolves with the reason when the link is over. */
  get closed(): Promise<StreamError> {
    return this.#closed.promise;
  }

  /** Client: opens a channel. Throws FAILURE_LIMIT_REACHED, or why the link is over. */
  open(request: ChannelRequest): Channel {
    if (this.#state.kind === "closed") throw this.#state.error;
    if (this.#channels.size >= this.#options.maxChannels) throw tooManyChannelsError(this.#options.maxChannels);
    if (this.#outboxBytes + headBytes(request.headers) > maxRequestsBytes) {
      throw new StreamError("too many requests wait to be sent", { failure: Failure.LIMIT_REACHED, hop: Hop.CALLER });
    }
    const channel = this.#add(this.#lastChannel + 1);
    channel.request(request);
    return channel;
  }

  /** Takes a packet from the peer. A fault of the packet concerns its channel only. */
  receive(packet: IncomingPacket): void {
    if (this.#state.kind === "closed") return;
    if (packet.channel === 0) return this.#receiveOwn(packet.content);
    if (packet.content.case === "request" && this.#port.role === "relay") {
      return this.#receiveRequest(packet.channel, packet.content.value);
    }
    const channel = this.#channels.get(packet.channel);
    if (channel !== undefined) return channel.receive(packet);
    if (packet.channel > this.#lastChannel && packet.content.case !== "reset")
      this.#refuse(packet.channel, neverOpenedError());
  }

  #receiveOwn(content: Packet["content"]): void {
    if (content.case === "ping") this.#enqueueOwn({ case: "pong", value: create(Packet_PongSchema) });
    if (content.case === "pong") this.#pings.shift()?.resolve();
    if (content.case === "reset") this.close(errorOfReset(content.value));
  }

  #receiveRequest(id: number, request: ChannelRequest): void {
    if (id <= this.#lastChannel) {
      const error = new StreamError(`channel ${id} was opened before`, { failure: Failure.CHANNEL_INVALID });
      const channel = this.#channels.get(id);
      return channel === undefined ? this.#refuse(id, error) : channel.reset(error);
    }
    const { maxChannels } = this.#options;
    if (this.#channels.size >= maxChannels || this.#serving >= 2 * maxChannels) {
      this.#lastChannel = id;
      return this.#refuse(id, tooManyChannelsError(maxChannels));
    }
    if (headBytes(request.headers) > maxHeadBytes) {
      this.#lastChannel = id;
      const message = `the headers of a request are larger than ${maxHeadBytes} bytes`;
      return this.#refuse(id, new StreamError(message, { failure: Failure.FRAME_TOO_LARGE }));
    }
    void this.#serve(this.#add(id), request);
  }

  async #serve(channel: Channel, request: ChannelRequest): Promise<void> {
    this.#serving += 1;
    try {
      await this.#options.onRequest?.(channel, request);
    } finally {
      this.#serving -= 1;
    }
  }

  /**
   * Resolves when the other side has taken everything that was sent before; rejects with the reason when the link is
   * over.
   */
  ping(): Promise<void> {
    const { packet, answered } = this.createPing();
    this.#enqueue(packet);
    return answered;
  }

  /** Like `ping`, with a packet that the caller must send at once. */
  createPing(): { packet: Packet; answered: Promise<void> } {
    const packet = create(PacketSchema, { content: { case: "ping", value: create(Packet_PingSchema) } });
    if (this.#state.kind === "closed") return { packet, answered: Promise.reject(this.#state.error) };
    const answer = new Deferred<void>();
    this.#pings.push(answer);
    if (this.#pings.length > maxPings) this.#cutOff();
    return { packet, answered: answer.promise };
  }

  /** Takes the next packets to send: at least one, and otherwise at most `maxBatchBytes`. Returns none if none wait. */
  takeBatch(maxBatchBytes: number): OutgoingPacket[] {
    const batch: OutgoingPacket[] = [];
    let room = maxBatchBytes;
    for (let next = this.#outbox.peek(); next !== undefined; next = this.#outbox.peek()) {
      const bytes = sizeOf(next);
      if (batch.length > 0 && bytes > room) break;
      this.#outbox.shift();
      this.#outboxBytes -= bytes;
      room -= bytes;
      batch.push(next);
    }
    this.#giveTurns();
    return batch;
  }

  /** Resolves as {@link takeBatch} returns as soon as packets wait, and with undefined when the link is over. */
  async nextBatch(maxBatchBytes: number): Promise<OutgoingPacket[] | undefined> {
    while (this.#outbox.length === 0) {
      if (this.#state.kind === "closed") return undefined;
      await this.#filled.changed();
    }
    return this.takeBatch(maxBatchBytes);
  }

  /**
   * The packets of a batch whose data is still there, to be asked for in the turn that copies it. A channel whose data
   * the application has transferred away is reset, and none of its data follows: no bytes may be missing in between.
   */
  withoutLost(batch: readonly OutgoingPacket[]): readonly OutgoingPacket[] {
    if (batch.every(isWhole)) return batch;
    const lost = new Set<number>();
    for (const packet of batch) if ("data" in packet && !isWhole(packet)) lost.add(packet.channel);
    const isLost = (packet: OutgoingPacket) => "data" in packet && lost.has(packet.channel);
    for (let left = this.#outbox.length; left > 0; left -= 1) {
      const packet = this.#outbox.shift() as OutgoingPacket;
      if (isLost(packet)) this.#outboxBytes -= sizeOf(packet);
      else this.#outbox.push(packet);
    }
    for (const channel of lost) this.#channels.get(channel)?.reset(transferredAwayError());
    return batch.filter((packet) => !isLost(packet));
  }

  /** Ends a link that has no channels. */
  closeIfIdle(): void {
    if (this.#channels.size === 0) this.close(new StreamError("the link was idle", { code: Code.Canceled }));
  }

  /** Ends the link and fails its channels. */
  close(error: StreamError): void {
    if (this.#state.kind === "closed") return;
    this.#state = { kind: "closed", error };
    for (const channel of [...this.#channels.values()]) channel.fail(error);
    this.#outbox.clear();
    this.#outboxBytes = 0;
    this.#filled.notify();
    this.#turns.clear();
    for (let ping = this.#pings.shift(); ping !== undefined; ping = this.#pings.shift()) ping.reject(error);
    this.#closed.resolve(error);
  }

  #add(id: number): Channel {
    const channel = new Channel(id, this.#port);
    this.#lastChannel = id;
    this.#channels.set(id, channel);
    return channel;
  }

  #refuse(id: number, { code, message, failure }: StreamError): void {
    const reset = create(ResetSchema, { code, reason: message, failure });
    this.#enqueue(create(PacketSchema, { channel: id, content: { case: "reset", value: reset } }));
  }

  #widen(bytes: number): boolean {
    if (this.#widenedBytes + bytes > maxWidenedBytes) return false;
    this.#widenedBytes += bytes;
    return true;
  }

  #onClosed(channel: Channel): void {
    this.#channels.delete(channel.id);
    this.#widenedBytes -= channel.widenedBytes;
    this.#turns.delete(channel);
    if (this.#channels.size === 0) this.onIdle();
  }

  #enqueueOwn(content: Packet["content"]): void {
    this.#enqueue(create(PacketSchema, { content }));
  }

  #enqueue(packet: OutgoingPacket): void {
    if (this.#state.kind === "closed") return;
    this.#outbox.push(packet);
    this.#outboxBytes += sizeOf(packet);
    if (this.#outbox.length === 1) {
      this.#filled.notify();
      this.onFilled();
    }
    if (this.#outboxBytes > maxOutboxBytes) this.#cutOff();
  }

  #cutOff(): void {
    this.close(
      new StreamError("the other side of the link does not read or answer", { failure: Failure.LIMIT_REACHED }),
    );
  }

  #takeTurn(channel: Channel): boolean {
    if (this.#state.kind === "closed") return false;
    if (this.#turn === channel || (this.#turns.size === 0 && this.#hasRoom)) {
      this.#turn = undefined;
      return true;
    }
    this.#turns.add(channel);
    return false;
  }

  get #hasRoom(): boolean {
    return this.#outboxBytes <= outboxHighWaterMarkBytes;
  }

  /** Gives turns one by one, because the data of one channel can take the room of the next. */
  #giveTurns(): void {
    while (this.#hasRoom) {
      const [next] = this.#turns;
      if (next === undefined) return;
      this.#turns.delete(next);
      this.#turn = next;
      next.goOn();
      this.#turn = undefined;
    }
  }
}

function isWhole(packet: OutgoingPacket): boolean {
  return !("data" in packet) || packet.data.isWhole;
}

function sizeOf(packet: OutgoingPacket): number {
  if ("data" in packet) return packetOverheadBytes + packet.data.byteLength;
  const { case: kind, value } = packet.content;
  if (kind === "reset") return packetOverheadBytes + value.reason.length;
  return packetOverheadBytes + (kind === "request" || kind === "response" ? headBytes(value.headers) : 0);
}

function tooManyChannelsError(maxChannels: number): StreamError {
  return new StreamError(`the link has ${maxChannels} channels open, or runs twice as many RPCs`, {
    failure: Failure.LIMIT_REACHED,
  });
}

function neverOpenedError(): StreamError {
  return new StreamError("the channel was never opened", {
    failure: Failure.CHANNEL_INVALID,
    code: Code.FailedPrecondition,
  });
}
