import { Code, type ConnectRouter, type HandlerContext, type ServiceImpl } from "@connectrpc/connect";
import { AdminService, type RevokeRequest } from "../../gen/streamserver/v1/admin_pb.js";
import { Failure } from "../../gen/streamserver/v1/failure_pb.js";
import { cutReason, StreamError } from "../../stream/error/stream-error.js";
import type { Survey } from "../admin/survey.js";
import type { Caller } from "../admission/caller.js";
import type { Revocation } from "../admission/policy/revocations.js";
import type { Relay } from "../relay/relay.js";
import type { OperatorAct } from "../relay/relay-events.js";
import { callerOf, tokenOf } from "./caller.js";
import { wireErrorOf } from "./wire-error.js";

/** A request is a few ids and a reason of 1,024 bytes. */
const maxRequestBytes = 16_384;

/** Serves `AdminService` on a router, to callers whom the relay's policy for operators lets in. */
export function adminRoutes(router: ConnectRouter, relay: Relay, survey: Survey): void {
  /** Answers a call of an operator. Every refusal is told to those who watch the relay, and so is each act. */
  const answer = async <T>(
    context: HandlerContext,
    call: () => T,
    act?: () => Omit<OperatorAct, "kind" | "caller">,
  ) => {
    const caller: Caller = callerOf(context);
    try {
      const admitted = await relay.admission.admitAdmin(caller, tokenOf(context));
      const answered = call();
      if (act !== undefined) relay.events.tell({ kind: "operator acted", caller: admitted.caller, ...act() });
      return answered;
    } catch (reason) {
      throw wireErrorOf(relay.refused(reason, { call: "admin", caller }));
    }
  };
  const service: ServiceImpl<typeof AdminService> = {
    show: (request, context) => answer(context, () => survey.show(request)),
    async endStream({ streamId, reason }, context) {
      const end = () => relay.endStream(streamId, endedError("stream", reason));
      await answer(context, end, () => ({ act: "end stream", streamId, reason: cutReason(reason) }));
      return {};
    },
    async endLease({ leaseId, reason }, context) {
      const end = () => relay.registry.remove(leaseId, endedError("name", reason));
      await answer(context, end, () => ({ act: "end lease", leaseId, reason: cutReason(reason) }));
      return {};
    },
    async revoke(request, context) {
      const ended = await answer(
        context,
        () => revoke(relay, request),
        () => ({ act: "revoke", revocation: revocationFrom(request) }),
      );
      return { ended };
    },
  };
  router.service(AdminService, service, { readMaxBytes: maxRequestBytes });
}

/** The words of the operator are the reason that people read, so they come after the relay's own. */
function endedError(what: "stream" | "name", reason: string): StreamError {
  const words =
    what === "stream"
      ? "the operator of the relay has ended the stream"
      : "the operator of the relay has taken the name back";
  const message = reason === "" ? words : cutReason(`${words}: ${reason}`);
  return new StreamError(message, { failure: Failure.NOT_PERMITTED, code: Code.Aborted });
}

/**
 * Throws FAILURE_PROTOCOL_VIOLATION for a revocation that cannot be, such as one of tokens that are still to be made.
 */
function revoke(relay: Relay, request: RevokeRequest): number {
  try {
    return relay.admission.grants.revoke(revocationFrom(request));
  } catch (reason) {
    if (!(reason instanceof RangeError)) throw reason;
    throw new StreamError(reason.message, { failure: Failure.PROTOCOL_VIOLATION });
  }
}

/** Throws FAILURE_PROTOCOL_VIOLATION for parts of a revocation that do not go together. */
function revocationFrom({ sub, jti, issuedBeforeMs }: RevokeRequest): Revocation {
  const isOne = jti === "" ? sub !== "" || issuedBeforeMs !== undefined : sub === "" && issuedBeforeMs === undefined;
  if (!isOne) {
    throw new StreamError("a revocation has either jti, or one or both of sub and issued_before_ms", {
      failure: Failure.PROTOCOL_VIOLATION,
    });
  }
  return {
    ...(sub === "" ? {} : { sub }),
    ...(jti === "" ? {} : { jti }),
    ...(issuedBeforeMs === undefined ? {} : { issuedBefore: Number(issuedBeforeMs) }),
  };
}
