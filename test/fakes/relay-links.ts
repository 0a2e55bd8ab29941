import { type Client, createClient, createConnectRouter, type Transport } from "@connectrpc/connect";
import { createUniversalHandlerClient, type UniversalHandler } from "@connectrpc/connect/protocol";
import { createTransport } from "@connectrpc/connect/protocol-connect";
import { RelayService } from "../../gen/streamserver/v1/relay_pb.js";
import { Link } from "../../link/link.js";
import { maxBatchBytes } from "../../server/link/link-sockets.js";
import { Links, type LiveLink } from "../../server/link/links.js";
import { Directory } from "../../server/relay/directory.js";
import type { Relay } from "../../server/relay/relay.js";
import { serveChannelLeg } from "../../server/rpc/leg/channel-leg.js";
import { relayRoutes } from "../../server/rpc/relay-routes.js";
import { systemClock } from "../../stream/platform/system-clock.js";
import { createLinkTransport } from "../../web/transport/link-transport.js";
import { newWatch, packetBatches } from "./links.js";
import { newRelay, someCaller } from "./relays.js";

/** A relay without a network, and its handlers, which take HTTP requests and give HTTP responses. */
export interface MemoryRelay {
  relay: Relay;
  handlers: readonly UniversalHandler[];
  client: Client<typeof RelayService>;
}

const noCompression = { acceptCompression: [], compressMinBytes: Number.MAX_SAFE_INTEGER };
/** The length of an envelope has 32 bits, so no message is too large for this client. */
const maxRpcMessageBytes = 0xffffffff;

export function newMemoryRelay(): MemoryRelay {
  const { relay } = newRelay();
  const router = createConnectRouter(noCompression);
  relayRoutes(router, relay, new Directory(relay));
  const transport = createTransport({
    ...noCompression,
    httpClient: createUniversalHandlerClient(router.handlers),
    baseUrl: "http://local",
    useBinaryFormat: true,
    interceptors: [],
    sendCompression: null,
    readMaxBytes: maxRpcMessageBytes,
    writeMaxBytes: maxRpcMessageBytes,
  });
  return { relay, handlers: router.handlers, client: createClient(RelayService, transport) };
}

/** A relay without a network, and the links to it, whose packets a test carries. */
export interface LinkedRelay extends MemoryRelay {
  links: Links;
  /** The relay's end of a new link. */
  open(): LiveLink;
  /** A transport on a link of its own, which goes well. */
  transport(): Transport;
}

export function newLinkedRelay(): LinkedRelay {
  const memory = newMemoryRelay();
  const { relay, handlers } = memory;
  const { limits, clock, signer, admission, events } = relay;
  const links = new Links({
    limits,
    clock,
    signer,
    admission,
    events,
    handlers,
    serveChannel: (...all) => serveChannelLeg(relay, ...all),
  });
  const open = () => links.open(someCaller, "", maxBatchBytes);
  return { ...memory, links, open, transport: () => createLinkTransport(async () => joined(open()), systemClock) };
}

function joined({ link: relayEnd, watch: relayWatch, opened }: LiveLink) {
  const { maxChannels = 0, maxPacketBytes = 0, heartbeatIntervalMs = 0 } = opened;
  const link = new Link({ maxChannels, maxPacketBytes });
  const carry = async (from: Link, to: Link) => {
    for await (const batch of packetBatches(from, maxBatchBytes)) {
      relayWatch.heard();
      for (const next of batch) to.receive(next);
    }
    to.close(await from.closed);
  };
  void carry(link, relayEnd);
  void carry(relayEnd, link);
  return { kind: "websocket" as const, link, watch: newWatch(link, systemClock, heartbeatIntervalMs) };
}
