import type { Interceptor, Transport } from "@connectrpc/connect";
import { envelopeCaller } from "../../leg/envelope-call.js";
import { maxRpcMessageBytes } from "../../leg/leg-call.js";
import { createChannelClient, createChannelOpener, type OnResponse } from "../../link/channel-client.js";
import type { Link } from "../../link/link.js";
import { createRpcTransport } from "../../link/rpc-transport.js";
import { relayAt } from "../../stream/error/failure-detail.js";
import type { Clock } from "../../stream/platform/clock.js";
import { LinkPool } from "../link/link-pool.js";
import type { LinkKind, LinkOpener } from "../link/opened-link.js";
import { channelCarrierOpener } from "./channel-carrier.js";
import { setTransportFacts } from "./transport-facts.js";

/** Nothing is resolved on a link: it is one place, and the relay is under its root. */
const baseUrl = "http://link";

export interface LinkTransportOptions {
  /** How long a link without calls is kept for the next one, in milliseconds. Default 2,000. */
  idleTimeoutMs?: number | undefined;
  /** Interceptors of Connect, which see each call. Default none. */
  interceptors?: Interceptor[];
  /** Whether messages are Protobuf's binary rather than JSON. Default true. */
  useBinaryFormat?: boolean;
  /**
   * The largest message that a call takes. Default 1,048,576, which a stream takes always: the relay sends none larger.
   */
  readMaxBytes?: number;
}

/** A transport for every kind of RPC, on the channels of links. Messages call the relay `relay`. */
export function createLinkTransport(
  open: LinkOpener,
  clock: Clock,
  options: LinkTransportOptions = {},
  relay = relayAt(),
): Transport {
  const {
    idleTimeoutMs = 2_000,
    interceptors = [],
    useBinaryFormat = true,
    readMaxBytes = maxRpcMessageBytes,
  } = options;
  const pool = new LinkPool(open, clock, idleTimeoutMs);
  const links = new WeakMap<Headers, { link: Link; kind: LinkKind | undefined }>();
  const openChannel = createChannelOpener(() => pool.get());
  const onResponse: OnResponse = (header, link) => links.set(header, { link, kind: pool.kindOf(link) });
  const httpClient = createChannelClient(openChannel, onResponse);
  const transport = createRpcTransport({ httpClient, baseUrl, useBinaryFormat, interceptors, readMaxBytes });
  setTransportFacts(transport, {
    kind: (header) => (header && links.get(header)?.kind) ?? pool.kind,
    doubt: (error) => pool.doubt(error),
    moveOn(header) {
      const link = header && links.get(header)?.link;
      if (link !== undefined) pool.retire(link);
    },
    relay,
    // Interceptors see what Connect's transport does, and JSON takes it.
    callLeg:
      interceptors.length === 0 && useBinaryFormat
        ? envelopeCaller(baseUrl, channelCarrierOpener(openChannel, onResponse))
        : undefined,
  });
  return transport;
}
