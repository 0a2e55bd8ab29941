import { create } from "@bufbuild/protobuf";
import {
  type Open,
  type Opened,
  OpenedSchema,
  RelayService,
  type Resume,
} from "../../../gen/streamserver/v1/relay_pb.js";
import type { Hold } from "../../admission/admission.js";
import { type Caller, callerToWire } from "../../admission/caller.js";
import { limitsToWire, maxTimerMs } from "../../admission/limits.js";
import type { Admitted } from "../../admission/policy/authorize.js";
import type { OfferFacts } from "../../relay/lease/offer.js";
import type { Relay } from "../../relay/relay.js";
import type { Half, Role } from "../../relay/stream/half.js";
import type { Resumption } from "../../relay/stream/leg-port.js";
import { receivedSequenceOf } from "../../relay/stream/relayed-frame.js";

export interface AttachedLeg {
  half: Half;
  /** The caller of the leg, with what was verified about its endpoint when that was let in. */
  caller: Caller;
  /** The leg's place among the legs. The owner of the leg releases it when the endpoint has heard how the leg ended. */
  hold: Hold;
  /** How the endpoint attaches again; undefined for its first leg. */
  resumption: Resumption | undefined;
  /** The relay's answer. */
  opened: Opened;
}

/** One of the two RPCs that carry a leg. Its first message is an `Open`. */
export interface LegRpc {
  /**
   * Asks whether a caller may open the leg, which may take a while. Throws, or rejects with, a `StreamError` if not.
   * `callToken` is the access token that came with the call; one in `open` counts before it.
   */
  admit(relay: Relay, open: Open, caller: Caller, callToken: string): Admitted | Promise<Admitted>;
  /** Attaches the leg of a caller that was let in. Throws a `StreamError` if the relay refuses the leg. */
  attach(relay: Relay, open: Open, admitted: Admitted): AttachedLeg;
}

/** The client's leg. */
export const connectRpc: LegRpc = telling("connect", {
  admit(relay, { name, metadata, streamId, resume, accessToken }, caller, callToken) {
    // The token of a leg proves that its client was let in before, but not to which name. So an offer that would be
    // made anew passes the door again.
    if (resume !== undefined && (name === "" || relay.knows(streamId))) return { caller, metadata };
    const token = accessToken || callToken;
    return relay.admit({ action: "connect", name, token, caller, metadata });
  },
  attach(relay, open, { caller, metadata }) {
    const { name, capabilities, waitForListenerMs, resume } = open;
    const facts = { metadata, capabilities, caller: callerToWire(caller) };
    return attached(relay, "client", caller, () => {
      if (resume !== undefined) return resumed(relay, "client", { ...open, resume }, facts, caller);
      const { splice } = relay.connect(name, facts, waitForListenerMs, caller);
      return { half: splice.client, streamId: splice.id, resumption: undefined };
    });
  },
});

/** The listener's leg. The token of its offer, or of its leg before, proves that it may open it. */
export const acceptRpc: LegRpc = telling("accept", {
  admit: (_relay, { metadata }, caller) => ({ caller, metadata }),
  attach(relay, open, { caller }) {
    const { streamId, legToken, capabilities, resume } = open;
    return attached(relay, "listener", caller, () => {
      if (resume !== undefined) return resumed(relay, "listener", { ...open, resume }, { metadata: {} }, caller);
      return { half: relay.accept(streamId, legToken, capabilities), streamId, resumption: undefined };
    });
  },
});

/** The two RPCs, by path without a prefix. */
export const legRpcByPath: ReadonlyMap<string, LegRpc> = new Map([
  [`/${RelayService.typeName}/${RelayService.method.connect.name}`, connectRpc],
  [`/${RelayService.typeName}/${RelayService.method.accept.name}`, acceptRpc],
]);

/** Tells those who watch the relay of the legs that it refuses. */
function telling(call: "connect" | "accept", { admit, attach }: LegRpc): LegRpc {
  const refused = (reason: unknown, relay: Relay, { name, streamId }: Open, caller: Caller) =>
    relay.refused(reason, { call, caller, name, streamId });
  return {
    admit(relay, open, caller, token) {
      try {
        const admitted = admit(relay, open, caller, token);
        if (!(admitted instanceof Promise)) return admitted;
        return admitted.catch((reason) => {
          throw refused(reason, relay, open, caller);
        });
      } catch (reason) {
        throw refused(reason, relay, open, caller);
      }
    },
    attach(relay, open, admitted) {
      try {
        return attach(relay, open, admitted);
      } catch (reason) {
        throw refused(reason, relay, open, admitted.caller);
      }
    },
  };
}

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

/** A time until something expires, as messages carry it: 0 is never, and 24 days or more are 24 days. */
export function expiryToWire(expiresInMs: number | undefined): number {
  return expiresInMs === undefined ? 0 : Math.min(Math.ceil(expiresInMs), maxTimerMs);
}

/** Each leg brings a token of this process, because the one before may be of another. */
function attached(relay: Relay, role: Role, caller: Caller, find: () => FoundHalf): AttachedLeg {
  const { limits, admission } = relay;
  const hold = admission.hold(caller, { kind: "leg" });
  try {
    const { half, streamId, resumption } = find();
    const legToken = relay.legToken(role, streamId);
    const claims = relay.claimsOf(role, streamId);
    admission.grants.letIn(caller, claims);
    const { heartbeatIntervalMs } = limits;
    const accessExpiresInMs = expiryToWire(relay.accessExpiresInMs(role, streamId));
    const facts = { streamId, legToken, heartbeatIntervalMs, accessExpiresInMs };
    const opened = create(OpenedSchema, { ...facts, limits: limitsToWire(limits) });
    return { half, caller: claims === undefined ? caller : { ...caller, claims }, hold, opened, resumption };
  } catch (reason) {
    hold.release();
    throw reason;
  }
}
