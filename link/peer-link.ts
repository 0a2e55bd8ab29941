import { Failure, Hop } from "../gen/streamserver/v1/failure_pb.js";
import type { ChannelRequest } from "../gen/streamserver/v1/link_pb.js";
import { StreamError } from "../stream/error/stream-error.js";
import type { Channel, ChannelPort } from "./channel/channel.js";
import { RelayLink, type RelayLinkOptions } from "./relay-link.js";

export interface PeerLinkOptions extends Omit<RelayLinkOptions, "onUnproductive"> {
  /** The numbers of the channels that this end opens. The other end opens the others. */
  numbers: "odd" | "even";
}

/**
 * One end of a link on which either end opens channels, and serves those of the other. Both ends count alike: 1, 3, 5,
 * … and 2, 4, 6, …
 */
export class PeerLink extends RelayLink {
  readonly #ownParity: number;
  /** The port of the channels that this end opens; the other port is of those that it serves. */
  readonly #ownPort: ChannelPort;
  #lastOpened: number;
  #lastRequested = 0;

  constructor(options: PeerLinkOptions) {
    // The peer of a stream is not held to rates: the resets of its requests are bounded by the outbox, and their
    // handlers by `maxChannels`.
    super({ ...options, resetHop: Hop.PEER, onUnproductive: () => undefined });
    this.#ownPort = { ...this.port, role: "client" };
    this.#ownParity = options.numbers === "odd" ? 1 : 0;
    this.#lastOpened = -this.#ownParity;
  }

  /** Opens a channel with the next number of this end. Throws as {@link RelayLink.open} does. */
  override open(request: ChannelRequest, id = this.#lastOpened + 2): Channel {
    return super.open(request, id);
  }

  protected override get lastRequested(): number {
    return this.#lastRequested;
  }

  protected override refusal(id: number, request: ChannelRequest): StreamError | undefined {
    if (!this.#isOwn(id)) return super.refusal(id, request);
    return new StreamError(`channel ${id} is not the peer's to open`, { failure: Failure.CHANNEL_INVALID });
  }

  protected override add(id: number): Channel {
    const last = this.lastChannel;
    const channel = super.add(id, this.#isOwn(id) ? this.#ownPort : this.port);
    this.lastChannel = Math.max(last, id);
    if (this.#isOwn(id)) this.#lastOpened = id;
    else this.#lastRequested = id;
    return channel;
  }

  protected override refuse(id: number, error: StreamError): void {
    super.refuse(id, error);
    if (!this.#isOwn(id)) this.#lastRequested = Math.max(this.#lastRequested, id);
  }

  #isOwn(id: number): boolean {
    return id % 2 === this.#ownParity;
  }
}
