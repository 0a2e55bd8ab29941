import { create, type MessageInitShape } from "@bufbuild/protobuf";
import { type ConnectRouter, createContextValues, type HandlerContext } from "@connectrpc/connect";
import type { UniversalHandler } from "@connectrpc/connect/protocol";
import { Failure } from "../gen/streamserver/v1/failure_pb.js";
import {
  LinkService,
  Packet_PingSchema,
  type ReceiveResponseSchema,
  type SendRequest,
} from "../gen/streamserver/v1/link_pb.js";
import { createChannelHandler } from "../link/channel-handler.js";
import { toConnectError } from "../link/failure-detail.js";
import { Link } from "../link/link.js";
import type { Clock } from "../stream/clock.js";
import { StreamError } from "../stream/stream-error.js";
import { callerOrigin, linkOriginKey } from "./caller.js";
import type { RelayLimits } from "./limits.js";
import { randomId, type TokenSigner } from "./token.js";

const maxPacketBytes = 131_072;
/** Small enough that what a stranger sends is decoded, and refused for its token, in a fraction of a second. */
const maxBatchBytes = 524_288;
/** A batch as JSON is a third larger, and has headers around its packets. */
const readMaxBytes = 2 * maxBatchBytes;
/** A link ends with its `Receive`; the token need only outlive that. */
const linkTokenTtlMs = 30 * 24 * 60 * 60 * 1000;
/** The other side may miss two heartbeats; after the third it is taken for lost. */
const heartbeatsUntilLost = 3;

interface LiveLink {
  link: Link;
  /** The number that the next batch has. */
  nextSequence: bigint;
  lastHeardMs: number;
}

export interface LinkRoutesInit {
  limits: RelayLimits;
  clock: Clock;
  signer: TokenSigner;
  /** What the channels are served with. */
  handlers: readonly UniversalHandler[];
}

/** The links that browsers keep to the relay over `Receive` and `Send`. */
export class LinkRoutes {
  readonly #init: LinkRoutesInit;
  readonly #links = new Map<string, LiveLink>();

  constructor(init: LinkRoutesInit) {
    this.#init = init;
  }

  get counts(): { links: number; channels: number } {
    let channels = 0;
    for (const { link } of this.#links.values()) channels += link.size;
    return { links: this.#links.size, channels };
  }

  /** Serves `LinkService` on a router. */
  register(router: ConnectRouter): void {
    router.service(
      LinkService,
      {
        receive: (_request, context) => this.#receive(context),
        send: (request) => this.#send(request),
      },
      { readMaxBytes },
    );
  }

  /** Ends all links. */
  close(error: StreamError): void {
    for (const { link } of [...this.#links.values()]) link.close(error);
  }

  async *#receive(context: HandlerContext): AsyncGenerator<MessageInitShape<typeof ReceiveResponseSchema>> {
    const { limits, signer, handlers } = this.#init;
    if (context.signal.aborted) return;
    if (this.#links.size >= limits.maxLinks) {
      throw toConnectError(
        new StreamError(`the relay holds ${limits.maxLinks} links already`, { failure: Failure.LIMIT_REACHED }),
      );
    }
    const id = randomId();
    const contextValues = createContextValues().set(linkOriginKey, callerOrigin(context));
    const onRequest = createChannelHandler(handlers, contextValues);
    const link = new Link({ maxChannels: limits.maxChannelsPerLink, maxPacketBytes, onRequest });
    const live: LiveLink = { link, nextSequence: 1n, lastHeardMs: this.#init.clock.now() };
    this.#links.set(id, live);
    const lost = new StreamError("the link was lost", { failure: Failure.LEG_LOST });
    const stopSupervising = this.#supervise(live);
    // Not only when this generator ends: a response that a peer has left under backpressure is never asked for more.
    void link.closed.then(() => {
      stopSupervising();
      this.#links.delete(id);
    });
    const onAbort = () => link.close(lost);
    context.signal.addEventListener("abort", onAbort);
    try {
      const opened = {
        linkId: id,
        linkToken: signer.sign("link", id, linkTokenTtlMs),
        maxChannels: limits.maxChannelsPerLink,
        maxPacketBytes,
        maxBatchBytes,
        heartbeatIntervalMs: limits.heartbeatIntervalMs,
      };
      yield { opened };
      for await (const packets of link.batches(maxBatchBytes)) {
        yield { packets };
      }
      throw toConnectError(await link.closed);
    } finally {
      context.signal.removeEventListener("abort", onAbort);
      link.close(lost);
    }
  }

  /** Pings at intervals, and ends a link that has not been heard of for several. */
  #supervise(live: LiveLink): () => void {
    const { clock, limits } = this.#init;
    const beat = () => {
      cancel = clock.after(limits.heartbeatIntervalMs, beat);
      if (clock.now() - live.lastHeardMs > heartbeatsUntilLost * limits.heartbeatIntervalMs) {
        live.link.close(new StreamError("the link has gone silent", { failure: Failure.LEG_LOST }));
      } else {
        live.link.send({ case: "ping", value: create(Packet_PingSchema) });
      }
    };
    let cancel = clock.after(limits.heartbeatIntervalMs, beat);
    return () => cancel();
  }

  #send({ linkId, linkToken, sequence, packets }: SendRequest): Record<string, never> {
    try {
      this.#init.signer.verify("link", linkId, linkToken);
      const live = this.#links.get(linkId);
      if (live === undefined) throw new StreamError("the link has ended", { failure: Failure.LINK_GONE });
      live.lastHeardMs = this.#init.clock.now();
      if (sequence < 1n) throw new StreamError("batches are numbered from 1", { failure: Failure.PROTOCOL_VIOLATION });
      if (sequence > live.nextSequence) {
        throw new StreamError(`batch ${sequence} came, ${live.nextSequence} was expected`, {
          failure: Failure.SEQUENCE_GAP,
        });
      }
      if (sequence < live.nextSequence) return {};
      let batchBytes = 0;
      for (const { content } of packets) if (content.case === "data") batchBytes += content.value.byteLength;
      if (batchBytes > maxBatchBytes) {
        throw new StreamError(`a batch of ${batchBytes} bytes is larger than ${maxBatchBytes}`, {
          failure: Failure.FRAME_TOO_LARGE,
        });
      }
      live.nextSequence += 1n;
      for (const packet of packets) live.link.receive(packet);
      return {};
    } catch (reason) {
      throw toConnectError(reason);
    }
  }
}
