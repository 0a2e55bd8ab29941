import { create } from "@bufbuild/protobuf";
import { type Open, type Opened, OpenedSchema, RelayService, type Resume } from "../../gen/streamserver/v1/relay_pb.js";
import type { Hold } from "../admission/admission.js";
import { type Caller, callerToWire } from "../admission/caller.js";
import { limitsToWire } from "../admission/limits.js";
import type { Half, Role } from "../relay/half.js";
import type { Resumption } from "../relay/leg-port.js";
import type { OfferFacts } from "../relay/offer.js";
import type { Relay } from "../relay/relay.js";
import { receivedSequenceOf } from "../relay/relayed-frame.js";

export interface AttachedLeg {
  half: Half;
  /** The leg's place among the legs. The owner of the leg releases it when the endpoint has heard how the leg ended. */
  hold: Hold;
  /** How the endpoint attaches again; undefined for its first leg. */
  resumption: Resumption | undefined;
  /** The relay's answer. */
  opened: Opened;
}

/**
 * Attaches one of a stream's two legs, by the first message of its endpoint and the facts about the caller. Throws a
 * `StreamError` if the relay refuses the leg.
 */
export type AttachLeg = (relay: Relay, open: Open, caller: Caller) => AttachedLeg;

/** The client's leg: `Connect`. */
export const attachClient: AttachLeg = telling("connect", (relay, open, caller) => {
  const { name, metadata, capabilities, waitForListenerMs, resume } = open;
  const facts = { metadata, capabilities, caller: callerToWire(caller) };
  return attached(relay, "client", caller, () => {
    if (resume !== undefined) return resumed(relay, "client", { ...open, resume }, facts, caller);
    const { splice } = relay.connect(name, facts, waitForListenerMs, caller);
    return { half: splice.client, streamId: splice.id, resumption: undefined };
  });
});

/** The listener's leg: `Accept`. */
export const attachListener: AttachLeg = telling("accept", (relay, open, caller) => {
  const { streamId, legToken, capabilities, resume } = open;
  return attached(relay, "listener", caller, () => {
    if (resume !== undefined) return resumed(relay, "listener", { ...open, resume }, { metadata: {} }, caller);
    return { half: relay.accept(streamId, legToken, capabilities), streamId, resumption: undefined };
  });
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

/** A half of a stream, found or made for an endpoint. */
type FoundHalf = Pick<AttachedLeg, "half" | "resumption"> & { streamId: string };

function resumed(
  relay: Relay,
  role: Role,
  open: Open & { resume: Resume },
  facts: OfferFacts,
  caller: Caller,
): FoundHalf {
  const { generation } = open.resume;
  const receivedSequence = receivedSequenceOf(open.resume.receivedSequence);
  const half = relay.resume(role, open, facts, caller);
  const knowsAccepted = role === "listener" || open.name === "";
  return { half, streamId: open.streamId, resumption: { generation, receivedSequence, knowsAccepted } };
}

/** Each leg brings a token of this process, because the one before may be of another. */
function attached(relay: Relay, role: Role, caller: Caller, find: () => FoundHalf): AttachedLeg {
  const { limits, admission } = relay;
  const hold = admission.hold(caller, { kind: "leg" });
  try {
    const { half, streamId, resumption } = find();
    const legToken = relay.legToken(role, streamId);
    const { heartbeatIntervalMs } = limits;
    const opened = create(OpenedSchema, { streamId, legToken, limits: limitsToWire(limits), heartbeatIntervalMs });
    return { half, hold, opened, resumption };
  } catch (reason) {
    hold.release();
    throw reason;
  }
}
