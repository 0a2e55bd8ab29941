import {
  Code,
  type ContextKey,
  type ContextValues,
  createContextKey,
  createContextValues,
  type HandlerContext,
} from "@connectrpc/connect";
import { Failure } from "../../gen/streamserver/v1/failure_pb.js";
import { fromConnectError } from "../../stream/error/failure-detail.js";
import type { StreamError } from "../../stream/error/stream-error.js";
import type { Caller } from "../admission/caller.js";
import type { NodeRequest } from "../http/node-server.js";
import { bearerToken } from "./bearer-token.js";
import { wireErrorOf } from "./wire-error.js";

/** The caller of an RPC that nobody vouches for. */
const unknownCaller: Caller = { origin: "", address: "", door: "http" };

/**
 * The caller of an RPC. On a channel it is the one that opened the link: the headers of RPCs on channels are written by
 * scripts, which may claim any origin.
 */
export const callerContextKey: ContextKey<Caller> = createContextKey(unknownCaller, { description: "caller" });

/** The access token that came with the request which opened the link of an RPC. Empty if none did. */
export const linkTokenKey: ContextKey<string> = createContextKey("", { description: "access token of the link" });

const isConnectionLostKey: ContextKey<() => boolean> = createContextKey(() => false, {
  description: "whether the caller's connection is lost",
});

/** The control of a call that nobody supervises. */
export const noControl: CallControl = { heldBytes: 0, expectEnd() {}, takePlace() {}, onEnd: (act) => act() };

const controlKey: ContextKey<CallControl> = createContextKey(noControl, { description: "control of the call" });

const refusalKey: ContextKey<StreamError | undefined> = createContextKey<StreamError | undefined>(undefined, {
  description: "why the relay has no room for the call",
});

/** Marks a call as refused, so that {@link refuseMarked} answers it in its own protocol. */
export function markRefused(values: ContextValues, error: StreamError): void {
  values.set(refusalKey, error);
}

/** Throws the error of a call that was marked. Handlers ask before they read any of the request. */
export function refuseMarked({ values }: HandlerContext): void {
  const error = values.get(refusalKey);
  if (error !== undefined) throw wireErrorOf(error);
}

/** What may be done with the call of a request, whoever serves it. */
export interface CallControl {
  /** The bytes of the call that wait: those of its request to be handled, and those of its response to be read. */
  readonly heldBytes: number;
  /** Cuts the call off if its response is not read to its end, or its request is still open, after 5 s or this time. */
  expectEnd(timeoutMs?: number): void;
  /** Counts the call no longer as one that opens. May be called more than once. */
  takePlace(): void;
  /**
   * Calls `act` when the caller has taken the response to its end, and when the call is over: once or twice, and at
   * once if the call is over already.
   */
  onEnd(act: () => void): void;
}

/** Values for the RPC of a request: its caller, whether its connection is lost, and the control of its call. */
export function callerValues(caller: Caller, request: NodeRequest, control: CallControl): ContextValues {
  const session = "stream" in request ? request.stream.session : undefined;
  return createContextValues()
    .set(callerContextKey, caller)
    .set(isConnectionLostKey, () => session?.destroyed ?? false)
    .set(controlKey, control);
}

/** Values for the RPC of a channel: the caller and the access token of its link, and the control of its call. */
export function channelValues(caller: Caller, linkToken: string, control: CallControl): ContextValues {
  return createContextValues().set(callerContextKey, caller).set(linkTokenKey, linkToken).set(controlKey, control);
}

/** Counts the call as the name, leg, watch or link that it holds from now on, and no longer as one that opens. */
export function takePlace({ values }: Pick<HandlerContext, "values">): void {
  values.get(controlKey).takePlace();
}

/**
 * Marks the call as over. It is cut off after 5 s, or another time, unless its caller has ended its request and read
 * the response to the end.
 */
export function expectEnd({ values }: HandlerContext, timeoutMs?: number): void {
  values.get(controlKey).expectEnd(timeoutMs);
}

/** Calls `act` when the caller has taken the response to its end, as {@link CallControl.onEnd} does. */
export function onEnd({ values }: HandlerContext, act: () => void): void {
  values.get(controlKey).onEnd(act);
}

/** The bytes of the call that wait, as {@link CallControl.heldBytes}. */
export function heldBytesOf({ values }: HandlerContext): number {
  return values.get(controlKey).heldBytes;
}

/** The caller of an RPC, which on a channel is the one that opened the link. */
export function callerOf({ values }: HandlerContext): Caller {
  return values.get(callerContextKey);
}

/** Returns the access token that came with an RPC, or else with its link. Empty if none did. */
export function tokenOf({ values, requestHeader }: HandlerContext): string {
  return bearerToken(requestHeader.get("authorization")) || values.get(linkTokenKey);
}

/**
 * The end of a call before its response had ended.
 *
 * - `canceled`: the caller cancelled it.
 * - `left`: the caller ended its link with a goodbye, as a page does that is left.
 * - `broken`: the connection broke, or the relay ended it.
 */
export type CallEnd = "canceled" | "left" | "broken";

/** Returns the end that an error of a channel or a signal means. A goodbye is `canceled` with FAILURE_LEG_LOST. */
export function callEnd({ code, failure }: StreamError): CallEnd {
  if (code !== Code.Canceled) return "broken";
  return failure === Failure.LEG_LOST ? "left" : "canceled";
}

/**
 * Returns the end of the call that was aborted. Node closes the calls of a broken HTTP/2 connection with the code of a
 * cancelled one.
 */
export function callEndOf({ signal, values }: HandlerContext): CallEnd {
  return values.get(isConnectionLostKey)() ? "broken" : callEnd(fromConnectError(signal.reason));
}
