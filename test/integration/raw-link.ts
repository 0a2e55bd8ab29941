import { once } from "node:events";
import type { Socket } from "node:net";
import { create, type MessageInitShape, toBinary } from "@bufbuild/protobuf";
import { type Failure, StreamError } from "browser-stream-server";
import {
  LinkMessageSchema,
  type LinkOpened,
  type OpenSchema,
  type Packet,
  type PacketSchema,
} from "browser-stream-server/gen";
import { WebSocket } from "ws";
import { ConnectRequestSchema } from "../../gen/streamserver/v1/relay_pb.js";
import { envelope } from "../../leg/envelope.js";
import {
  decodeLinkMessage,
  type IncomingPacket,
  linkProtocol,
  linkSocketPath,
} from "../../link/packet/link-message.js";
import { Condition } from "../../stream/platform/deferred.js";
import type { TestRelay } from "./relay-ports.js";

export type PacketInit = MessageInitShape<typeof PacketSchema>;

const deadlineMs = 20_000;

export interface RawLinkOptions {
  protocols?: string[];
  /** Whether the client answers pings of RFC 6455. */
  autoPong?: boolean;
}

/** A link over a WebSocket whose packets, and bytes, a test writes by hand, right ones and wrong ones. */
export class RawLink {
  readonly socket: WebSocket;
  /** The code with which the WebSocket was closed. */
  readonly closed: Promise<number>;
  opened: LinkOpened | undefined;
  /** The bytes of data received on all channels. */
  receivedBytes = 0;
  readonly #packets: IncomingPacket[] = [];
  readonly #changed = new Condition();

  /** Opens a link. */
  static async open(relay: Pick<TestRelay, "url">, options: RawLinkOptions = {}): Promise<RawLink> {
    const raw = new RawLink(relay, options);
    await raw.until(() => raw.opened !== undefined);
    return raw;
  }

  constructor({ url }: Pick<TestRelay, "url">, { protocols = [linkProtocol], autoPong = true }: RawLinkOptions = {}) {
    this.socket = new WebSocket(url + linkSocketPath, protocols, { autoPong });
    this.socket.on("error", () => {});
    this.closed = once(this.socket, "close").then(([code]) => code as number);
    this.socket.on("message", (data: Buffer) => this.#receive(data));
    void this.closed.then(() => this.#changed.notify());
  }

  /** The connection that carries the WebSocket. */
  get connection(): Socket {
    return (this.socket as unknown as { _socket: Socket })._socket;
  }

  send(...packets: PacketInit[]): void {
    const message = create(LinkMessageSchema, { packets: packets as Packet[] });
    this.socket.send(toBinary(LinkMessageSchema, message));
  }

  /** Writes bytes as they are. */
  write(bytes: Uint8Array): void {
    this.connection.write(bytes);
  }

  /** The failures that the relay has reset channels with. */
  get resets(): [channel: number, failure: Failure][] {
    return this.#packets.flatMap(({ channel, content }): [number, Failure][] =>
      content.case === "reset" ? [[channel, content.value.failure]] : [],
    );
  }

  /** Resolves when the relay has answered to everything that was sent before. */
  async answered(): Promise<void> {
    const before = this.pongs;
    this.send({ channel: 0, content: { case: "ping", value: {} } });
    await this.until(() => this.pongs > before);
  }

  /** The number of pings that the relay has answered. */
  get pongs(): number {
    return this.#packets.filter(({ content }) => content.case === "pong").length;
  }

  /** The failure with which the relay resets a channel. */
  async reset(channel: number): Promise<Failure> {
    const find = () => this.resets.find(([id]) => id === channel);
    await this.until(() => find() !== undefined);
    return find()?.[1] as Failure;
  }

  /** Resolves when `holds` does; fails if the link ends before. */
  async until(holds: () => boolean): Promise<void> {
    const giveUpMs = performance.now() + deadlineMs;
    const timer = setTimeout(() => this.#changed.notify(), deadlineMs);
    try {
      while (!holds()) {
        if (performance.now() >= giveUpMs) throw new StreamError("the relay did not say it in time");
        if (this.socket.readyState === WebSocket.CLOSED) throw new StreamError("the link ended");
        await this.#changed.changed();
      }
    } finally {
      clearTimeout(timer);
    }
  }

  /** Says goodbye. */
  async close(code = 1000): Promise<void> {
    this.socket.close(code);
    await this.closed;
  }

  #receive(data: Buffer): void {
    const { opened, packets } = decodeLinkMessage(data);
    this.opened ??= opened;
    for (const packet of packets) {
      if (packet.content.case === "data") this.receivedBytes += packet.content.value.byteLength;
      else this.#packets.push(packet);
    }
    this.#changed.notify();
  }
}

/** Opens a channel for an RPC of the relay. */
export function opening(channel: number, method = "Listen"): PacketInit {
  const headers = [{ name: "content-type", value: "application/connect+proto" }];
  return { channel, content: { case: "request", value: { path: `/streamserver.v1.RelayService/${method}`, headers } } };
}

export function data(channel: number, bytes: number | Uint8Array): PacketInit {
  return { channel, content: { case: "data", value: typeof bytes === "number" ? new Uint8Array(bytes) : bytes } };
}

export function end(channel: number): PacketInit {
  return { channel, content: { case: "end", value: {} } };
}

export function credit(channel: number, value: bigint): PacketInit {
  return { channel, content: { case: "credit", value } };
}

/** Connects to a name. The client tells no capabilities, so nothing but the channel's credit stops the listener. */
export function connecting(channel: number, name: string): PacketInit[] {
  const open: MessageInitShape<typeof OpenSchema> = { name };
  const message = create(ConnectRequestSchema, { message: { case: "open", value: open } });
  return [opening(channel, "Connect"), data(channel, envelope(0, toBinary(ConnectRequestSchema, message)))];
}

/** A frame of a WebSocket, from a client unless it is not masked. RFC 6455, section 5.2. */
export function socketFrame(
  opcode: number,
  payload: Uint8Array,
  { fin = true, masked = true, reserved = 0 }: { fin?: boolean; masked?: boolean; reserved?: number } = {},
): Uint8Array {
  const { byteLength } = payload;
  const first = (fin ? 0x80 : 0) | reserved | opcode;
  const length = byteLength < 126 ? [byteLength] : [126, byteLength >> 8, byteLength & 0xff];
  length[0] = (length[0] ?? 0) | (masked ? 0x80 : 0);
  // Masked with zeros, so that the payload is what it is.
  return new Uint8Array([first, ...length, ...(masked ? [0, 0, 0, 0] : []), ...payload]);
}
