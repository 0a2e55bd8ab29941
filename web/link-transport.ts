import type { Interceptor, Transport } from "@connectrpc/connect";
import { createTransport } from "@connectrpc/connect/protocol-connect";
import { createChannelClient } from "../link/channel-client.js";
import type { Link } from "../link/link.js";
import type { Clock } from "../stream/clock.js";
import { setCarrier } from "./carrier.js";
import type { LinkKind, LinkOpener, OpenedLink } from "./opened-link.js";
import { followPage } from "./page-life.js";

/** The most that Connect takes; the other side has a limit of its own. */
const maxMessageBytes = 0xffffffff;

export interface LinkTransportOptions {
  /** How long a link without channels is kept for the next one. Default 2,000. */
  idleTimeoutMs?: number | undefined;
  /** Connect's. Default none. */
  interceptors?: Interceptor[];
  /** Whether messages are Protobuf's binary rather than JSON. Default true. */
  useBinaryFormat?: boolean;
  /** The largest message that is taken. Default 1,048,576: a frame and what is around it; the relay sends none larger. */
  readMaxBytes?: number;
}

type LinkState =
  | { kind: "none" }
  | { kind: "opening"; link: Promise<Link> }
  | { kind: "open"; link: Promise<Link>; linkKind: LinkKind };

/**
 * A transport for every kind of RPC, on the channels of one link. The link is opened when it is first needed, closed when it
 * has been idle or its page is left, and opened anew after it broke.
 */
export function createLinkTransport(open: LinkOpener, clock: Clock, options: LinkTransportOptions = {}): Transport {
  const { idleTimeoutMs = 2_000, interceptors = [], useBinaryFormat = true, readMaxBytes = 1_048_576 } = options;
  let state: LinkState = { kind: "none" };
  const openLink = (): Promise<Link> => {
    if (state.kind !== "none") return state.link;
    const link = open().then(keepWhileUsed, (reason: unknown) => {
      state = { kind: "none" };
      throw reason;
    });
    state = { kind: "opening", link };
    return link;
  };
  const keepWhileUsed = (opened: OpenedLink): Link => {
    const { link, kind } = opened;
    state = { kind: "open", link: Promise.resolve(link), linkKind: kind };
    let stopWaiting = () => {};
    link.onIdle = () => {
      stopWaiting();
      stopWaiting = clock.after(idleTimeoutMs, () => link.closeIfIdle());
    };
    // Whoever asked for the link may have given up while it was opened.
    link.onIdle();
    followPage(opened);
    void link.closed.then(() => {
      stopWaiting();
      state = { kind: "none" };
    });
    return link;
  };
  const httpClient = createChannelClient(openLink);
  const transport = createTransport({
    httpClient,
    baseUrl: "http://link",
    useBinaryFormat,
    interceptors,
    acceptCompression: [],
    sendCompression: null,
    compressMinBytes: Number.MAX_SAFE_INTEGER,
    readMaxBytes,
    writeMaxBytes: maxMessageBytes,
  });
  setCarrier(transport, {
    linkKind: () => (state.kind === "open" ? state.linkKind : undefined),
    // Interceptors see what Connect's transport does, and JSON takes it.
    legClient: interceptors.length === 0 && useBinaryFormat ? httpClient : undefined,
  });
  return transport;
}
