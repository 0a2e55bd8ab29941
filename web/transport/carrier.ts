import { createClient, type Transport } from "@connectrpc/connect";
import { RelayService } from "../../gen/streamserver/v1/relay_pb.js";
import type { ChannelClient } from "../../link/channel-client.js";
import { callLeg, type LegMethod, type LegRequest, type LegResponse } from "../../link/leg-call.js";
import type { TransportKind } from "../../stream/leg.js";
import type { LinkKind } from "./opened-link.js";

/** What is known of a transport that is on a link. */
interface Carrier {
  /** Undefined while there is no link. */
  linkKind(): LinkKind | undefined;
  /** Calls RPCs on channels; undefined where only the transport itself may. */
  legClient: ChannelClient | undefined;
}

/** `Connect` or `Accept`, bound to a transport. */
export type LegCall = (requests: AsyncIterable<LegRequest>, signal: AbortSignal) => AsyncIterable<LegResponse>;

const carriers = new WeakMap<Transport, Carrier>();

export function setCarrier(transport: Transport, carrier: Carrier): void {
  carriers.set(transport, carrier);
}

/** How the streams of a transport travel at this moment; undefined while that is not known, or not any more. */
export function transportKind(transport: Transport): TransportKind | undefined {
  const carrier = carriers.get(transport);
  return carrier === undefined ? "native" : carrier.linkKind();
}

/** Calls the RPC of a leg in the way that is best for the transport. */
export function createLegCall(transport: Transport, method: LegMethod): LegCall {
  const legClient = carriers.get(transport)?.legClient;
  if (legClient !== undefined) return (requests, signal) => callLeg(legClient, method, requests, signal);
  const client = createClient(RelayService, transport);
  // A stream lasts as long as the application likes, whatever deadline the transport has for calls.
  return (requests, signal) => client[method](requests, { signal, timeoutMs: 0 });
}
