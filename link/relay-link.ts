import { Failure } from "../gen/streamserver/v1/failure_pb.js";
import type { ChannelRequest } from "../gen/streamserver/v1/link_pb.js";
import { StreamError } from "../stream/error/stream-error.js";
import type { Channel } from "./channel/channel.js";
import { Link, type LinkOptions, tooManyChannelsError } from "./link.js";
import { headBytes, maxHeadBytes } from "./packet/header.js";
import type { IncomingPacket } from "./packet/link-message.js";

export interface RelayLinkOptions extends LinkOptions {
  /** The largest head of a request, in the bytes that its headers count for. Default 16,384. */
  maxHeadBytes?: number;
  /**
   * Serves a channel that the client has opened, until the promise that it returns resolves, which may be after the
   * channel has closed. The promise does not reject.
   */
  onRequest: (channel: Channel, request: ChannelRequest) => Promise<void> | void;
  /**
   * Returns why the link ends, if a client sends packets of a kind too often: packets that serve no channel, or resets
   * of channels that are open.
   */
  onUnproductive: (kind: "idle" | "reset") => StreamError | undefined;
}

/** The relay's end of a link, on which the client opens channels. It stands apart so that no page has to load it. */
export class RelayLink extends Link {
  readonly #maxChannels: number;
  readonly #maxHeadBytes: number;
  readonly #onRequest: RelayLinkOptions["onRequest"];
  readonly #onUnproductive: RelayLinkOptions["onUnproductive"];
  /** Handlers that have not ended. A client that resets their channels may open as many others at once. */
  #serving = 0;

  constructor(options: RelayLinkOptions) {
    super(options, "relay");
    this.#maxChannels = options.maxChannels;
    this.#maxHeadBytes = options.maxHeadBytes ?? maxHeadBytes;
    this.#onRequest = options.onRequest;
    this.#onUnproductive = options.onUnproductive;
  }

  override receive(packet: IncomingPacket): void {
    if (!this.isOpen) return;
    const { channel, content } = packet;
    if (channel === 0 || channel > this.lastRequested || content.case === "reset") this.#count(packet);
    if (channel === 0 || content.case !== "request") return super.receive(packet);
    const error = this.refusal(channel, content.value);
    if (error === undefined) void this.#serve(this.add(channel), content.value);
    else this.refuse(channel, error);
  }

  /** The highest number of a channel that the peer has opened, or was not let open. */
  protected get lastRequested(): number {
    return this.lastChannel;
  }

  /** Counts a packet that is no part of a call. It costs the relay as much as one that is. */
  #count({ channel, content }: IncomingPacket): void {
    if (content.case === "request") return;
    const error = this.#onUnproductive(content.case === "reset" && channel > 0 ? "reset" : "idle");
    if (error !== undefined) this.close(error);
  }

  /** Returns why a request may not open a channel, if so. */
  protected refusal(id: number, { headers }: ChannelRequest): StreamError | undefined {
    if (id <= this.lastRequested) {
      return new StreamError(`channel ${id} was opened before`, { failure: Failure.CHANNEL_INVALID });
    }
    if (!this.hasRoom || this.#serving >= 2 * this.#maxChannels) return tooManyChannelsError(this.#maxChannels);
    if (headBytes(headers) <= this.#maxHeadBytes) return undefined;
    const message = `the headers of a request are larger than ${this.#maxHeadBytes} bytes`;
    return new StreamError(message, { failure: Failure.FRAME_TOO_LARGE });
  }

  async #serve(channel: Channel, request: ChannelRequest): Promise<void> {
    this.#serving += 1;
    try {
      await this.#onRequest(channel, request);
    } finally {
      this.#serving -= 1;
    }
  }
}
