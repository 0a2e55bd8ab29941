import { create } from "@bufbuild/protobuf";
import { Failure } from "../../gen/streamserver/v1/failure_pb.js";
import { type Caller, type Open, type Opened, OpenedSchema, RelayService } from "../../gen/streamserver/v1/relay_pb.js";
import { StreamError } from "../../stream/error/stream-error.js";
import type { Half } from "../relay/half.js";
import { limitsToWire } from "../relay/limits.js";
import type { Relay } from "../relay/relay.js";

/** Legs allowed per stream: its own two, and two of an ended stream whose response is still being read. */
const legsPerStream = 4;

export interface AttachedLeg {
  half: Half;
  /** The relay's answer. */
  opened: Opened;
}

/**
 * Attaches one of a stream's two legs, by the first message of its endpoint and the facts about the caller.
 *
 * - The owner of the leg puts it into `Relay.legs`, and takes it out when the endpoint has heard how the leg ended.
 * - Throws a `StreamError` if the relay refuses the leg.
 */
export type AttachLeg = (relay: Relay, open: Open, caller: Caller) => AttachedLeg;

/** The client's leg: `Connect`. */
export const attachClient: AttachLeg = (relay, open, caller) => {
  checkRoom(relay, open);
  const { name, metadata, capabilities, waitForListenerMs } = open;
  const { splice, token } = relay.connect(name, { metadata, capabilities, caller }, waitForListenerMs);
  return attached(relay, splice.client, splice.id, token);
};

/** The listener's leg: `Accept`. */
export const attachListener: AttachLeg = (relay, open) => {
  checkRoom(relay, open);
  const { streamId, legToken, capabilities } = open;
  return attached(relay, relay.accept(streamId, legToken, capabilities), streamId, legToken);
};

/** The functions that attach the legs of the two RPCs, by path without a prefix. */
export const attachLegByPath: ReadonlyMap<string, AttachLeg> = new Map([
  [`/${RelayService.typeName}/${RelayService.method.connect.name}`, attachClient],
  [`/${RelayService.typeName}/${RelayService.method.accept.name}`, attachListener],
]);

function attached(relay: Relay, half: Half, streamId: string, legToken: string): AttachedLeg {
  const { limits } = relay;
  const { heartbeatIntervalMs } = limits;
  const opened = create(OpenedSchema, { streamId, legToken, limits: limitsToWire(limits), heartbeatIntervalMs });
  return { half, opened };
}

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
