import type { MessageInitShape } from "@bufbuild/protobuf";
import type { ConnectRouter, HandlerContext, ServiceImpl } from "@connectrpc/connect";
import { Failure } from "../../gen/streamserver/v1/failure_pb.js";
import {
  type AcceptResponse,
  type ListenRequest,
  type ListenResponseSchema,
  RelayService,
} from "../../gen/streamserver/v1/relay_pb.js";
import { legOverheadBytes } from "../../leg/leg-call.js";
import { toConnectError } from "../../stream/error/failure-detail.js";
import { StreamError } from "../../stream/error/stream-error.js";
import type { Directory } from "../relay/directory.js";
import { heartbeat, withHeartbeat } from "../relay/heartbeat.js";
import type { Lease, LeaseEvent } from "../relay/lease.js";
import { limitsToWire } from "../relay/limits.js";
import type { Relay } from "../relay/relay.js";
import { attachClient, attachListener } from "./attach-leg.js";
import { callEndOf, expectEnd } from "./caller.js";
import { decodedLeg } from "./decoded-leg.js";

/** Serves `RelayService` on a router. */
export function relayRoutes(router: ConnectRouter, relay: Relay, directory: Directory): void {
  const service: ServiceImpl<typeof RelayService> = {
    listen: (request, context) => listen(relay, request, context),
    connect: (requests, context) => decodedLeg(relay, attachClient, requests, context),
    accept: (requests, context) =>
      // The two responses have the same fields, but only a client is told that it was accepted.
      decodedLeg(relay, attachListener, requests, context) as AsyncIterable<AcceptResponse>,
    reject({ streamId, legToken, code, reason }) {
      answer(() => relay.reject(streamId, legToken, code, reason));
      return {};
    },
    unlisten({ leaseId, leaseToken }) {
      answer(() => relay.unlisten(leaseId, leaseToken));
      return {};
    },
    list: (request) => directory.list(request),
    watch: (request, context) => withFailureDetail(directory.watch(request.prefix, context.signal)),
  };
  router.service(RelayService, service, { readMaxBytes: relay.limits.maxFrameBytes + legOverheadBytes });
}

async function* listen(
  relay: Relay,
  { name, listed, leaseId }: ListenRequest,
  context: HandlerContext,
): AsyncGenerator<MessageInitShape<typeof ListenResponseSchema>> {
  if (context.signal.aborted) return;
  if (leaseId !== "") {
    const message = "this relay does not take up leases again";
    throw toConnectError(new StreamError(message, { failure: Failure.FEATURE_UNSUPPORTED }));
  }
  const { lease, token } = answer(() => relay.listen(name, listed));
  const onAbort = () => lease.end(callEndOf(context) === "broken" ? "lost" : "canceled");
  context.signal.addEventListener("abort", onAbort);
  void lease.ended.then(() => expectEnd(context));
  const { limits } = relay;
  try {
    const registered = {
      leaseId: lease.id,
      leaseToken: token,
      limits: limitsToWire(limits),
      heartbeatIntervalMs: limits.heartbeatIntervalMs,
    };
    yield { event: { case: "registered", value: registered } };
    for await (const event of withHeartbeat(lease.events(), relay.clock, limits.heartbeatIntervalMs)) {
      yield { event: event === heartbeat ? { case: "ping", value: {} } : leaseEventToWire(relay, lease, event) };
    }
    if (relay.closed !== undefined) throw toConnectError(relay.closed);
  } finally {
    context.signal.removeEventListener("abort", onAbort);
    lease.end("lost");
  }
}

function leaseEventToWire(
  relay: Relay,
  { acceptTimeoutMs }: Lease,
  event: LeaseEvent,
): NonNullable<MessageInitShape<typeof ListenResponseSchema>["event"]> {
  if (event.kind === "withdrawn") return { case: "withdrawn", value: { streamId: event.streamId } };
  const { offer } = event;
  return {
    case: "offer",
    value: {
      streamId: offer.id,
      legToken: relay.offerToken(offer),
      acceptTimeoutMs,
      ...offer.facts,
    },
  };
}

/** Runs a call of the relay's; what it throws goes out with its `FailureDetail`. */
function answer<T>(call: () => T): T {
  try {
    return call();
  } catch (reason) {
    throw toConnectError(reason);
  }
}

async function* withFailureDetail<T>(source: AsyncIterable<T>): AsyncGenerator<T> {
  try {
    yield* source;
  } catch (reason) {
    throw toConnectError(reason);
  }
}
