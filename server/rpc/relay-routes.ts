import type { MessageInitShape } from "@bufbuild/protobuf";
import type { ConnectRouter, HandlerContext, ServiceImpl } from "@connectrpc/connect";
import {
  type AcceptResponse,
  Feature,
  type ListenRequest,
  type ListenResponseSchema,
  RelayService,
  type RenewRequest,
} from "../../gen/streamserver/v1/relay_pb.js";
import { legOverheadBytes } from "../../leg/leg-call.js";
import type { Caller } from "../admission/caller.js";
import { limitsToWire } from "../admission/limits.js";
import type { Admitted } from "../admission/policy/authorize.js";
import type { Directory } from "../relay/directory.js";
import { heartbeat, withHeartbeat } from "../relay/heartbeat.js";
import type { Lease } from "../relay/lease/lease.js";
import type { ListenEvent } from "../relay/lease/listen-call.js";
import type { Held } from "../relay/lease/registry.js";
import type { Relay } from "../relay/relay.js";
import { callEndOf, callerOf, expectEnd, takePlace, tokenOf } from "./caller.js";
import { decodedLeg } from "./leg/decoded-leg.js";
import { acceptRpc, connectRpc, expiryToWire } from "./leg/leg-rpc.js";
import { wireErrorOf } from "./wire-error.js";

/** Serves `RelayService` on a router. */
export function relayRoutes(router: ConnectRouter, relay: Relay, directory: Directory): void {
  const service: ServiceImpl<typeof RelayService> = {
    listen: (request, context) => listen(relay, request, context),
    connect: (requests, context) => decodedLeg(relay, connectRpc, requests, context),
    accept: (requests, context) =>
      // The two responses have the same fields, but only a client is told that it was accepted.
      decodedLeg(relay, acceptRpc, requests, context) as AsyncIterable<AcceptResponse>,
    reject(request, context) {
      const refusal = { call: "reject" as const, caller: callerOf(context), streamId: request.streamId };
      answer(relay, refusal, () => relay.reject(request.streamId, request.legToken, request));
      return {};
    },
    unlisten({ leaseId, leaseToken }, context) {
      const refusal = { call: "unlisten" as const, caller: callerOf(context) };
      answer(relay, refusal, () => relay.registry.unlisten(leaseId, leaseToken));
      return {};
    },
    renew: (request, context) => renew(relay, request, context),
    async list(request, context) {
      const { shows } = await admitList(relay, "list", request.prefix, context);
      return directory.list(request, shows, context.signal);
    },
    async *watch({ prefix }, context) {
      const { caller, shows } = await admitList(relay, "watch", prefix, context);
      const watch = directory.watch(prefix, context.signal, caller, shows, () => expectEnd(context));
      for await (const change of withFailureDetail(watch)) {
        takePlace(context);
        yield change;
      }
    },
  };
  router.service(RelayService, service, { readMaxBytes: relay.limits.maxFrameBytes + legOverheadBytes });
}

async function* listen(
  relay: Relay,
  request: ListenRequest,
  context: HandlerContext,
): AsyncGenerator<MessageInitShape<typeof ListenResponseSchema>> {
  if (context.signal.aborted) return;
  const caller = callerOf(context);
  const refusal = { call: "listen" as const, caller, name: request.name };
  const admitted = await admit(relay, refusal, () => admitListen(relay, request, context));
  if (context.signal.aborted) return;
  const { lease, call, token } = answer(relay, refusal, () => hold(relay, request, admitted.caller));
  takePlace(context);
  const hangUp = () => {
    const end = callEndOf(context);
    if (call.isResumable && end !== "left") lease.suspend(call);
    else lease.leave(call, end === "broken" ? "lost" : "canceled");
  };
  context.signal.addEventListener("abort", hangUp);
  void call.over.then(() => expectEnd(context));
  const { limits, clock } = relay;
  try {
    const registered = {
      leaseId: lease.id,
      leaseToken: token,
      limits: limitsToWire(limits),
      heartbeatIntervalMs: limits.heartbeatIntervalMs,
      waitingStreamIds: call.mentionWaiting(),
      accessExpiresInMs: expiryToWire(relay.admission.grants.expiresInMs(lease.caller)),
    };
    yield { event: { case: "registered", value: registered } };
    const events = withHeartbeat(call.events(), clock, limits.heartbeatIntervalMs);
    for await (const event of withFailureDetail(events)) {
      yield { event: event === heartbeat ? { case: "ping", value: {} } : listenEventToWire(relay, lease, event) };
    }
  } finally {
    context.signal.removeEventListener("abort", hangUp);
    hangUp();
  }
}

function admitListen(relay: Relay, request: ListenRequest, context: HandlerContext) {
  const { name, leaseId, accessToken } = request;
  const token = accessToken || tokenOf(context);
  const asked = { action: "listen", name, token, caller: callerOf(context), metadata: {} } as const;
  return leaseId === "" ? relay.admit(asked) : relay.admitTakeUp(asked, request);
}

async function admitList(relay: Relay, call: "list" | "watch", prefix: string, context: HandlerContext) {
  const caller = callerOf(context);
  const request = { action: "list", name: prefix, token: tokenOf(context), caller, metadata: {} } as const;
  return admit(relay, { call, caller, name: prefix }, () => relay.admit(request));
}

/** Puts a newer access token in the place of the one that let in a client or a listener. */
async function renew(relay: Relay, request: RenewRequest, context: HandlerContext) {
  const caller = callerOf(context);
  const { streamId } = request;
  const refusal = { call: "renew" as const, caller, streamId };
  const { claims, action, name, metadata } = answer(relay, refusal, () => relay.provenRequest(request));
  // A relay without a policy has nothing to renew.
  if (claims === undefined) return {};
  const token = request.accessToken || tokenOf(context);
  const admitted = await admit(relay, refusal, () => relay.admit({ action, name, metadata, caller, token }));
  return answer(relay, refusal, () => {
    if (admitted.caller.claims !== undefined) relay.admission.grants.renew(claims, admitted.caller.claims);
    // What has ended meanwhile gets no token any more, which would not carry its grant.
    const { token } = relay.provenRequest(request);
    return { accessExpiresInMs: expiryToWire(relay.admission.grants.expiresInMs({ claims })), token };
  });
}

/** Claims the name of a request, or takes up its lease. */
function hold(relay: Relay, request: ListenRequest, caller: Caller): Held {
  const { name, listed, ownerKey, capabilities, leaseId } = request;
  const isResumable = capabilities?.features.includes(Feature.RESUME) ?? false;
  if (leaseId === "") return relay.listen(name, listed, { isResumable, ownerKey, caller });
  return relay.takeUp({ name, listed, isResumable, ownerKey, caller }, request);
}

function listenEventToWire(
  relay: Relay,
  lease: Lease,
  event: ListenEvent,
): NonNullable<MessageInitShape<typeof ListenResponseSchema>["event"]> {
  if (event.kind === "draining") return { case: "draining", value: { graceMs: event.graceMs } };
  if (event.kind === "withdrawn") return { case: "withdrawn", value: { streamId: event.streamId } };
  const { offer } = event;
  const { acceptTimeoutMs } = relay.limits;
  return {
    case: "offer",
    value: { streamId: offer.id, legToken: relay.offerToken(offer, lease), acceptTimeoutMs, ...offer.facts },
  };
}

/** Waits until a caller is let in; a refusal goes out as that of {@link answer}. */
async function admit(
  relay: Relay,
  refusal: Parameters<Relay["refused"]>[1],
  call: () => Admitted | Promise<Admitted>,
): Promise<Admitted> {
  try {
    return await call();
  } catch (reason) {
    throw wireErrorOf(relay.refused(reason, refusal));
  }
}

/** Runs a call of the relay's; what it throws is told as a refusal, and goes out with its `FailureDetail`. */
function answer<T>(relay: Relay, refusal: Parameters<Relay["refused"]>[1], call: () => T): T {
  try {
    return call();
  } catch (reason) {
    throw wireErrorOf(relay.refused(reason, refusal));
  }
}

async function* withFailureDetail<T>(source: AsyncIterable<T>): AsyncGenerator<T> {
  try {
    yield* source;
  } catch (reason) {
    throw wireErrorOf(reason);
  }
}
