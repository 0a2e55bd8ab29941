import { create } from "@bufbuild/protobuf";
import {
  type Caller,
  type Open,
  type Opened,
  OpenedSchema,
  RelayService,
  type Resume,
} from "../../gen/streamserver/v1/relay_pb.js";
import { limitsToWire } from "../admission/limits.js";
import type { Half, Role } from "../relay/half.js";
import type { Resumption } from "../relay/leg-port.js";
import type { OfferFacts } from "../relay/offer.js";
import type { Relay } from "../relay/relay.js";
import { receivedSequenceOf } from "../relay/relayed-frame.js";

/** Legs allowed per stream: its own two, and two of an ended stream whose response is still being read. */
const legsPerStream = 4;

export interface AttachedLeg {
  half: Half;
  /** How the endpoint attaches again; undefined for its first leg. */
  resumption: Resumption | undefined;
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
export const attachClient: AttachLeg = telling("connect", (relay, open, caller) => {
  checkRoom(relay);
  const { name, metadata, capabilities, waitForListenerMs, resume } = open;
  const facts = { metadata, capabilities, caller };
  if (resume !== undefined) return resumed(relay, "client", { ...open, resume }, facts);
  const { splice } = relay.connect(name, facts, waitForListenerMs);
  return attached(relay, "client", splice.client, splice.id);
});

/** The listener's leg: `Accept`. */
export const attachListener: AttachLeg = telling("accept", (relay, open) => {
  checkRoom(relay);
  const { streamId, legToken, capabilities, resume } = open;
  if (resume !== undefined) return resumed(relay, "listener", { ...open, resume }, { metadata: {} });
  return attached(relay, "listener", relay.accept(streamId, legToken, capabilities), streamId);
});

/** Tells those who watch the relay of the legs that it refuses. */
function telling(call: "connect" | "accept", attach: AttachLeg): AttachLeg {
  return (relay, open, caller) => {
    try {
      return attach(relay, open, caller);
    } catch (reason) {
      throw relay.refused(reason, { call, caller, name: open.name, streamId: open.streamId });
    }
  };
}

/** The functions that attach the legs of the two RPCs, by path without a prefix. */
export const attachLegByPath: ReadonlyMap<string, AttachLeg> = new Map([
  [`/${RelayService.typeName}/${RelayService.method.connect.name}`, attachClient],
  [`/${RelayService.typeName}/${RelayService.method.accept.name}`, attachListener],
]);

function resumed(relay: Relay, role: Role, open: Open & { resume: Resume }, facts: OfferFacts): AttachedLeg {
  const { generation } = open.resume;
  const receivedSequence = receivedSequenceOf(open.resume.receivedSequence);
  const half = relay.resume(role, open, facts);
  const knowsAccepted = role === "listener" || open.name === "";
  const resumption = { generation, receivedSequence, knowsAccepted };
  return attached(relay, role, half, open.streamId, resumption);
}

/** Each leg brings a token of this process, because the one before may be of another. */
function attached(
  relay: Relay,
  role: Role,
  half: Half,
  streamId: string,
  resumption: Resumption | undefined = undefined,
): AttachedLeg {
  const { limits } = relay;
  const legToken = relay.legToken(role, streamId);
  const { heartbeatIntervalMs } = limits;
  const opened = create(OpenedSchema, { streamId, legToken, limits: limitsToWire(limits), heartbeatIntervalMs });
  return { half, opened, resumption };
}

/**
 * Legs of an ended stream stay until their endpoints have read the response; without a cap they could pile up unread.
 */
function checkRoom({ legs, limits, warnings }: Relay): void {
  const maxLegs = legsPerStream * limits.maxStreams;
  if (legs.size < maxLegs) return;
  throw warnings.limitReached("maxStreams", `the relay holds ${maxLegs} legs already`);
}
