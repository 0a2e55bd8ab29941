import { create } from "@bufbuild/protobuf";
import { Failure } from "../../gen/streamserver/v1/failure_pb.js";
import { CallerSchema, type Open, RelayService } from "../../gen/streamserver/v1/relay_pb.js";
import { StreamError } from "../../stream/stream-error.js";
import type { Relay } from "../relay/relay.js";
import type { SpliceLeg } from "../relay/splice-leg.js";

/** Legs allowed per stream: its own two, and two of an ended stream whose response is still being read. */
const legsPerStream = 4;

export interface AttachedLeg {
  leg: SpliceLeg;
  streamId: string;
  legToken: string;
}

/**
 * Attaches one of a stream's two legs, by the first message of its call and the Origin header of its caller. Throws a
 * `StreamError`.
 */
export type AttachLeg = (relay: Relay, open: Open, origin: string) => AttachedLeg;

/** The client's leg: `Connect`. */
export const attachClient: AttachLeg = (relay, open, origin) => {
  checkRoom(relay, open);
  const { name, metadata, capabilities } = open;
  const caller = create(CallerSchema, { origin });
  const { splice, token } = relay.connect(name, { metadata, capabilities, caller });
  return { leg: splice.client, streamId: splice.id, legToken: token };
};

/** The listener's leg: `Accept`. */
export const attachListener: AttachLeg = (relay, open) => {
  checkRoom(relay, open);
  const { streamId, legToken, capabilities } = open;
  return { leg: relay.accept(streamId, legToken, capabilities), streamId, legToken };
};

/** The functions that attach the legs of the two RPCs, by path without a prefix. */
export const attachLegByPath: ReadonlyMap<string, AttachLeg> = new Map([
  [`/${RelayService.typeName}/${RelayService.method.connect.name}`, attachClient],
  [`/${RelayService.typeName}/${RelayService.method.accept.name}`, attachListener],
]);

/**
 * Legs of an ended stream stay until their endpoints have read the response; without a cap they could pile up unread.
 */
function checkRoom({ legs, limits, warnings }: Relay, { resume }: Open): void {
  if (resume !== undefined) {
    throw new StreamError("this relay does not resume streams", { failure: Failure.FEATURE_UNSUPPORTED });
  }
  const maxLegs = legsPerStream * limits.maxStreams;
  if (legs.size < maxLegs) return;
  throw warnings.limitReached("maxStreams", `the relay holds ${maxLegs} legs already`);
}
