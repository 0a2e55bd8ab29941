import { ReceiveCredit } from "../../stream/endpoint/receive-credit.js";
import { ByteQueue } from "./byte-queue.js";
import type { ChannelUser } from "./channel-user.js";

/** A channel's window at first, which each side may send before the first grant. `Packet.credit`. */
export const channelWindowBytes = 262_144;
/** The largest window of a channel whose reader keeps up. */
export const maxChannelWindowBytes = 1_048_576;

/** The services of a link that a channel's inbox uses. */
export interface InboxPort {
  maxPacketBytes: number;
  /**
   * Takes bytes for a wider window from the link's allowance for all channels, or gives back a negative number of them.
   * Returns false if too few are left.
   */
  widen(bytes: number): boolean;
}

/** The body that comes on a channel: its bytes wait for their reader, and the peer is granted more as they are read. */
export class ChannelInbox {
  readonly #port: InboxPort;
  readonly #grant: (offsetBytes: number) => void;
  readonly #bytes = new ByteQueue();
  readonly #credit = new ReceiveCredit(channelWindowBytes);
  #user: ChannelUser | undefined;
  /** "whole": the peer has ended the body; "cut": the rest of it is not wanted. */
  #body: "coming" | "whole" | "cut" = "coming";
  #reading: "on" | "paused" | "over" = "on";

  /** `grant` tells the peer an offset up to which it may send. */
  constructor(port: InboxPort, grant: (offsetBytes: number) => void) {
    this.#port = port;
    this.#grant = grant;
  }

  /** Bytes that have come and were not read. */
  get unreadBytes(): number {
    return this.#credit.unreadBytes;
  }

  /** Hands the body to its reader. The bytes that have come are read at once. */
  use(user: ChannelUser): void {
    this.#user = user;
    this.#deliver();
  }

  /** Takes bytes of the body. Returns false if they are more than was granted. */
  receive(chunk: Uint8Array): boolean {
    const hasUnread = this.#credit.unreadBytes > 0;
    if (!this.#credit.receive(chunk.byteLength)) return false;
    // Bytes that do not have to wait are not queued, because the queue copies small chunks.
    if (this.#user === undefined || this.#reading !== "on" || hasUnread) this.#bytes.push(chunk);
    else if (chunk.byteLength > 0) this.#handOver(chunk, this.#user);
    return true;
  }

  pause(): void {
    if (this.#reading === "on") this.#reading = "paused";
  }

  resume(): void {
    if (this.#reading !== "paused") return;
    this.#reading = "on";
    this.#deliver();
  }

  /** The peer has ended the body. The reader is told when it has read the rest. */
  end(): void {
    this.#body = "whole";
    this.#deliver();
  }

  /** No more of the body is wanted. The bytes that have come can still be read. */
  cut(): void {
    this.#body = "cut";
    this.#port.widen(channelWindowBytes - this.#credit.windowBytes);
  }

  /** Drops the bytes that wait. Nothing more is read. */
  drop(): void {
    this.cut();
    this.#reading = "over";
    this.#bytes.clear();
  }

  /** Grants along with data, where it costs next to nothing: a packet of its own costs as much as any. */
  grantAlong(): void {
    this.#grantFrom(this.#credit.windowBytes / 4);
  }

  #deliver(): void {
    const user = this.#user;
    if (user === undefined) return;
    while (this.#reading === "on") {
      const chunk = this.#bytes.shift();
      if (chunk === undefined) break;
      this.#handOver(chunk, user);
    }
    if (this.#reading !== "on" || this.#body !== "whole") return;
    this.#reading = "over";
    user.onEnd();
  }

  #handOver(chunk: Uint8Array, user: ChannelUser): void {
    this.#credit.read(chunk.byteLength);
    // Grants are few, but early enough that the peer always has credit for a whole packet. `Packet.credit`.
    const { windowBytes } = this.#credit;
    this.#grantFrom(Math.min((windowBytes * 3) / 4, windowBytes - this.#port.maxPacketBytes));
    // The link has been cut off, and the bytes dropped, if it had no room for the grant.
    if (this.#reading !== "over") user.onData(chunk);
  }

  #grantFrom(minBytes: number): void {
    if (this.#body !== "coming" || this.#credit.grantableBytes() < minBytes) return;
    this.#credit.widen(maxChannelWindowBytes, this.#port.widen);
    this.#grant(this.#credit.grant());
  }
}
