import { Code } from "@connectrpc/connect";
import { Failure, Hop } from "../../gen/streamserver/v1/failure_pb.js";
import type { Open } from "../../gen/streamserver/v1/relay_pb.js";
import { StreamError } from "../../stream/error/stream-error.js";
import type { Admission } from "../admission/admission.js";
import type { Caller } from "../admission/caller.js";
import type { RelayLimits } from "../admission/limits.js";
import type { OfferFacts } from "./lease/offer.js";
import type { LegTokens } from "./leg-tokens.js";
import { checkCapabilities } from "./stream/capabilities.js";
import { streamGoneError } from "./stream/ended-streams.js";
import type { Half, Role } from "./stream/half.js";
import type { Splice } from "./stream/splice.js";
import type { Opening, Splices } from "./stream/splices.js";

/** An `Open` with which an endpoint attaches again. */
export type ResumingOpen = Pick<Open, "streamId" | "legToken" | "capabilities" | "name" | "waitForListenerMs"> & {
  resume: { generation: number };
};

/** The facts about the client of a stream that was accepted in another process. Nobody asks for them any more. */
const noFacts: OfferFacts = { metadata: {} };

export interface ReturnsInit {
  limits: RelayLimits;
  admission: Admission;
  tokens: LegTokens;
  splices: Splices;
  /** Throws why the relay takes nothing new, if it does not. */
  checkOpen(): void;
  /** Offers a stream to the listener of its name. Throws what `Relay.connect` throws. */
  offer(opening: Opening): Splice;
}

/** The endpoints that come back to their streams, which may be of another process. */
export class Returns {
  readonly #init: ReturnsInit;

  constructor(init: ReturnsInit) {
    this.#init = init;
  }

  /**
   * Returns the half to which an endpoint attaches again. A stream that was opened in another process is made anew, and
   * waits for the other endpoint; one that its client does not know to be accepted is offered anew. The listener has to
   * come back as well, so the offer waits for it for the grace period at least.
   *
   * Throws FAILURE_OFFER_GONE to a listener that has only the token of an offer which is not its own any more, and
   * FAILURE_LEG_LOST of HOP_RELAY while the lease of that offer may still come from another process. Throws
   * FAILURE_NOT_PERMITTED for a leg that a relay without a policy let in, where there is one, and for one whose access
   * token was revoked here. Throws FAILURE_TOKEN_INVALID, FAILURE_LIMIT_REACHED for a caller that comes back too often,
   * FAILURE_STREAM_GONE, FAILURE_FENCED, FAILURE_FEATURE_UNSUPPORTED, FAILURE_DRAINING, what `Relay.connect` throws,
   * and for a stream that has ended lately the error that it ended with.
   */
  resume(role: Role, open: ResumingOpen, facts: OfferFacts, caller: Caller): Half {
    const { limits, admission, tokens, splices, checkOpen, offer } = this.#init;
    const { streamId, legToken, resume, capabilities, name, waitForListenerMs } = open;
    const issuer = tokens.verify(role, streamId, legToken);
    checkCapabilities(capabilities);
    const splice = splices.get(streamId);
    tokens.checkLease(splice, legToken, issuer, leaseAwayError);
    // The other endpoint may have come first, and nothing was known of this one's grant.
    const carried = issuer === "another process" ? tokens.grantIn(role, legToken) : undefined;
    admission.countReturn(caller, splice?.grantOf(role)?.claims ?? carried?.claims);
    const ended = splice === undefined ? splices.ended.resume(streamId, role) : undefined;
    // An endpoint that is owed the end of its stream needs nothing new.
    if (ended !== undefined) return ended;
    if (splice?.[role].kind !== "owed") checkOpen();
    // The offer that a client has made anew by its name has passed the door for that.
    const isAsked = splice === undefined && role === "client" && name !== "";
    if (issuer === "another process" && carried === undefined && admission.hasPolicy && !isAsked) {
      throw nobodyLetInError();
    }
    splice?.liveBy(role, carried?.claims, carried?.name);
    if (splice !== undefined) return splice.resume(role, resume.generation, capabilities);
    if (issuer === "this process") throw streamGoneError();
    if (role === "client" && name !== "") {
      const waitMs = Math.max(waitForListenerMs, limits.graceMs);
      return offer({ id: streamId, name, facts, waitForListenerMs: waitMs, caller }).client;
    }
    const begin = (made: Splice) => {
      made.liveBy(role, carried?.claims, carried?.name);
      made.makeAnew(role, resume.generation, capabilities);
    };
    const granted = { ...caller, claims: carried?.claims };
    const opening = { id: streamId, name: "", facts: noFacts, waitForListenerMs: 0, caller: granted };
    return splices.open(opening, begin)[role];
  }
}

/** A policy is asked about a name, and the token of such a leg tells none. */
function nobodyLetInError(): StreamError {
  return new StreamError("the relay has got a policy since, which has let nobody in to this stream", {
    failure: Failure.NOT_PERMITTED,
    code: Code.Unauthenticated,
  });
}

/** The error of a listener whose stream comes back to a relay that was started again before its lease does. */
function leaseAwayError(): StreamError {
  return new StreamError("the lease on which the stream was offered is not here yet", {
    failure: Failure.LEG_LOST,
    hop: Hop.RELAY,
  });
}
