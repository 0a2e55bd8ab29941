import type { Transport } from "@connectrpc/connect";
import { Link } from "../../link/link.js";
import { LinkWatch } from "../../link/link-watch.js";
import { Links, type LiveLink } from "../../server/link/links.js";
import { serveChannelLeg } from "../../server/rpc/channel-leg.js";
import { systemClock } from "../../stream/system-clock.js";
import { createLinkTransport } from "../../web/transport/link-transport.js";
import { type MemoryRelay, newMemoryRelay } from "../docs/memory-relay.js";
import { packetBatches } from "./links.js";

export const maxBatchBytes = 212_992;

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
  const { limits, clock, signer, warnings } = relay;
  const links = new Links({
    limits,
    clock,
    signer,
    warnings,
    handlers,
    serveChannel: (...all) => serveChannelLeg(relay, ...all),
  });
  const open = () => links.open("", maxBatchBytes);
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
  return { kind: "websocket" as const, link, watch: new LinkWatch(link, systemClock, heartbeatIntervalMs) };
}
