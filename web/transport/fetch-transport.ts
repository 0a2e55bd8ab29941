import type { Transport } from "@connectrpc/connect";
import type { Clock } from "../../stream/platform/clock.js";
import { openFetchLink } from "../link/fetch-link.js";
import { callOver, withGoodbye } from "../link/goodbye.js";
import { createLinkTransport } from "./link-transport.js";

/** Outside of pages, where the end of a program waits for the connections of a transport that others made. */
const idleTimeoutMs = 100;

/** A transport for every kind of RPC, on links over one that can do unary and server streaming. */
export function createFetchTransport(transport: Transport, clock: Clock): Transport {
  const options = globalThis.location === undefined ? { idleTimeoutMs } : {};
  const open = withGoodbye((signal) => openFetchLink({ transport }, clock, signal), callOver(transport), clock);
  return createLinkTransport(open, clock, options);
}
