import type { Transport } from "@connectrpc/connect";
import { Failure } from "../../gen/streamserver/v1/failure_pb.js";
import { RelayService } from "../../gen/streamserver/v1/relay_pb.js";
import { cutReason, type StreamError } from "../../stream/error/stream-error.js";
import type { Clock } from "../../stream/platform/clock.js";
import { callUnary } from "../link/rpc-call.js";
import { transportError } from "../transport/transport-facts.js";
import { wayBackOf } from "../transport/way-back.js";
import { isLoss } from "./leg.js";

export interface RejectionInit {
  transport: Transport;
  clock: Clock;
  /** The stream, or the offer, with the proof that it is this endpoint's. */
  token: { streamId: string; legToken: string } | undefined;
  error: StreamError;
  /** The highest sequence number that this endpoint has received. Default 0: an offer has received nothing. */
  receivedSequence?: number;
  /** The grace period of the relay in milliseconds, in which it is tried again where it was not reached. */
  graceMs: number;
  /** The relay was not reached, and is tried again. May be called several times. */
  onLost?: () => void;
  /** The relay has answered, or the grace period is over. Called once. */
  onTold: () => void;
}

/** The relay has this long to answer `Reject`. */
const rejectTimeoutMs = 5_000;

/**
 * Tells the relay that a stream has failed, or that an offer is declined, in a call of its own, which waits behind no
 * frame. A relay that was not reached would hold a stream until its grace period is over, and make an offer again, so
 * it is told later. No process of Node stays alive for that. Returns what calls it off, after which nothing is called.
 */
export function reject(init: RejectionInit): () => void {
  const { transport, clock, token, error, receivedSequence = 0, graceMs, onLost, onTold } = init;
  const untilMs = clock.now() + graceMs;
  let isOver = false;
  let stopWaiting = () => {};
  const { code, message, failure } = error;
  const request = {
    ...token,
    code,
    reason: cutReason(message),
    failure,
    receivedSequence: BigInt(receivedSequence),
  };
  const attempt = async (failedAttempts: number): Promise<void> => {
    try {
      await callUnary(transport, RelayService.method.reject, request, { timeoutMs: rejectTimeoutMs });
    } catch (reason) {
      const lost = transportError(reason, transport, false);
      const isPassing = isLoss(lost) || lost.failure === Failure.DRAINING;
      if (isPassing && clock.now() < untilMs && !isOver) {
        onLost?.();
        const again = () => void attempt(failedAttempts + 1);
        stopWaiting = wayBackOf(transport, clock).wait(failedAttempts, again, { keepsAlive: false });
        return;
      }
    }
    if (!isOver) onTold();
  };
  void attempt(0);
  return () => {
    isOver = true;
    stopWaiting();
  };
}
