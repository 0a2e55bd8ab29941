import { create } from "@bufbuild/protobuf";
import { Code } from "@connectrpc/connect";
import { Failure, Hop } from "../gen/streamserver/v1/failure_pb.js";
import { type ChannelRequest, type Packet, PacketSchema } from "../gen/streamserver/v1/link_pb.js";
import { transferredAwayError } from "../stream/endpoint/bytes.js";
import { errorOfReset, resetOf } from "../stream/error/reset.js";
import { StreamError } from "../stream/error/stream-error.js";
import { Condition, Deferred } from "../stream/platform/deferred.js";
import { Fifo } from "../stream/platform/fifo.js";
import { Channel, type ChannelPort } from "./channel/channel.js";
import { Outbox } from "./outbox.js";
import { headBytes } from "./packet/header.js";
import type { IncomingPacket } from "./packet/link-message.js";
import type { OutgoingPacket } from "./packet/outgoing-packet.js";

/** Packets that wait for no room, such as resets, may pile up to 4 MiB. A peer that provokes more is cut off. */
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
  /** The hop of an error with which the peer ends the link. Default: the one of its failure. */
  resetHop?: Hop;
}

/**
 * One end of a link: channels over a pipe of packets. The owner of the pipe calls `receive` for each packet that comes,
 * sends the packets of `nextBatch`, and calls `close` when the pipe breaks.
 */
export class Link {
  readonly #options: LinkOptions;
  /** The services for the channels that this end opens, or that it serves. */
  protected readonly port: ChannelPort;
  readonly #channels = new Map<number, Channel>();
  readonly #outbox = new Outbox<Channel>();
  readonly #filled = new Condition();
  /** The pings that wait in the outbox, and those that are sent and have no answer so far. */
  readonly #unsentPings = new Fifo<Deferred<void>>();
  readonly #pings = new Fifo<Deferred<void>>();
  readonly #closed = new Deferred<StreamError>();
  #state: { kind: "open" } | { kind: "closed"; error: StreamError } = { kind: "open" };
  #widenedBytes = 0;
  /** The highest number of a channel that was opened, or refused. */
  protected lastChannel = 0;
  /** Called when the last channel has closed. */
  onIdle: () => void = () => {};
  /** Called when packets wait to be sent and before none did. */
  onFilled: () => void = () => {};

  constructor(options: LinkOptions, role: ChannelPort["role"] = "client") {
    this.#options = options;
    this.port = {
      maxSentPacketBytes: options.maxPacketBytes,
      ...options,
      role,
      enqueue: (packet) => this.#enqueue(packet),
      takeTurn: (channel) => this.#outbox.takeTurn(channel),
      widen: (bytes) => {
        if (this.#widenedBytes + bytes > maxWidenedBytes) return false;
        this.#widenedBytes += bytes;
        return true;
      },
      onClosed: (channel) => this.#onClosed(channel),
    };
  }

  /** The number of open channels. */
  get size(): number {
    return this.#channels.size;
  }

  /** Bytes of packets that wait to be sent. */
  get unsentBytes(): number {
    return this.#outbox.bytes;
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

  /** Client: opens a channel, with the number `id`. Throws FAILURE_LIMIT_REACHED, or why the link is over. */
  open(request: ChannelRequest, id = this.lastChannel + 1): Channel {
    if (this.#state.kind === "closed") throw this.#state.error;
    if (!this.hasRoom) throw tooManyChannelsError(this.#options.maxChannels);
    if (this.#outbox.bytes + headBytes(request.headers) > maxRequestsBytes) {
      throw new StreamError("too many requests wait to be sent", { failure: Failure.LIMIT_REACHED, hop: Hop.CALLER });
    }
    const channel = this.add(id);
    channel.request(request);
    return channel;
  }

  /** Takes a packet from the peer. A fault of the packet concerns its channel only. */
  receive(packet: IncomingPacket): void {
    if (this.#state.kind === "closed") return;
    if (packet.channel === 0) return this.#receiveOwn(packet.content);
    const channel = this.#channels.get(packet.channel);
    if (channel !== undefined) return channel.receive(packet);
    if (packet.channel > this.lastChannel && packet.content.case !== "reset") {
      this.#reset(
        packet.channel,
        new StreamError("the channel was never opened", { failure: Failure.CHANNEL_INVALID }),
      );
    }
  }

  #receiveOwn(content: Packet["content"]): void {
    if (content.case === "ping") this.#enqueue(create(PacketSchema, { content: { case: "pong", value: {} } }));
    if (content.case === "pong") this.#pings.shift()?.resolve();
    if (content.case === "reset") this.close(errorOfReset(content.value, this.#options.resetHop));
  }

  /**
   * Resolves when the peer has taken everything that was sent before. Rejects with the reason when the link is over.
   */
  ping(): Promise<void> {
    const { packet, answered } = this.#createPing(this.#unsentPings);
    this.#enqueue(packet);
    return answered;
  }

  /** Like `ping`, with a packet that the caller must send at once. */
  createPing(): { packet: Packet; answered: Promise<void> } {
    return this.#createPing(this.#pings);
  }

  #createPing(pings: Fifo<Deferred<void>>): { packet: Packet; answered: Promise<void> } {
    const packet = create(PacketSchema, { content: { case: "ping", value: {} } });
    const answer = new Deferred<void>();
    if (this.#state.kind === "closed") answer.reject(this.#state.error);
    else pings.push(answer);
    if (this.#pings.length + this.#unsentPings.length > maxPings) this.#cutOff();
    return { packet, answered: answer.promise };
  }

  /** Takes the next packets to send: at least one, and otherwise at most `maxBatchBytes`. Returns none if none wait. */
  takeBatch(maxBatchBytes: number): OutgoingPacket[] {
    const batch = this.#outbox.takeBatch(maxBatchBytes);
    for (const packet of batch) {
      const ping = "content" in packet && packet.content.case === "ping" ? this.#unsentPings.shift() : undefined;
      if (ping !== undefined) this.#pings.push(ping);
    }
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
   * Returns the packets of a batch whose data is still there; to be called in the turn that copies the data. A channel
   * whose data the application has transferred away is reset, and none of its data follows, because no bytes may be
   * missing in between.
   */
  withoutLost(batch: readonly OutgoingPacket[]): readonly OutgoingPacket[] {
    if (batch.every(isWhole)) return batch;
    const lost = new Set(batch.filter((packet) => !isWhole(packet)).map(({ channel }) => channel));
    const isLost = (packet: OutgoingPacket) => "data" in packet && lost.has(packet.channel);
    this.#outbox.drop(isLost);
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
    this.#filled.notify();
    for (const pings of [this.#pings, this.#unsentPings]) {
      for (let ping = pings.shift(); ping !== undefined; ping = pings.shift()) ping.reject(error);
    }
    this.#closed.resolve(error);
  }

  protected add(id: number, port = this.port): Channel {
    const channel = new Channel(id, port);
    this.lastChannel = id;
    this.#channels.set(id, channel);
    return channel;
  }

  /** Resets a channel that is open, or that the peer may not open. */
  protected refuse(id: number, error: StreamError): void {
    this.lastChannel = Math.max(this.lastChannel, id);
    const channel = this.#channels.get(id);
    if (channel === undefined) this.#reset(id, error);
    else channel.reset(error);
  }

  #reset(id: number, error: StreamError): void {
    this.#enqueue(create(PacketSchema, { channel: id, content: { case: "reset", value: resetOf(error) } }));
  }

  #onClosed(channel: Channel): void {
    this.#channels.delete(channel.id);
    this.#outbox.leave(channel);
    if (this.#channels.size === 0) this.onIdle();
  }

  #enqueue(packet: OutgoingPacket): void {
    if (this.#state.kind === "closed") return;
    this.#outbox.push(packet);
    if (this.#outbox.length === 1) {
      this.#filled.notify();
      this.onFilled();
    }
    if (this.#outbox.bytes > maxOutboxBytes) this.#cutOff();
  }

  #cutOff(): void {
    this.close(
      new StreamError("the other side of the link does not read or answer", { failure: Failure.LIMIT_REACHED }),
    );
  }
}

function isWhole(packet: OutgoingPacket): boolean {
  return !("data" in packet) || packet.data.isWhole;
}

/** The error of a channel beyond those that a link may have. */
export function tooManyChannelsError(maxChannels: number): StreamError {
  return new StreamError(`the link has ${maxChannels} channels open, or runs twice as many RPCs`, {
    failure: Failure.LIMIT_REACHED,
  });
}
