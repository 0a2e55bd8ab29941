import type { MessageInitShape } from "@bufbuild/protobuf";
import type { Transport } from "@connectrpc/connect";
import type { OpenSchema } from "../../gen/streamserver/v1/relay_pb.js";
import type { LegMethod, LegRequest } from "../../leg/leg-call.js";
import { isDetached, transferredAwayError } from "../../stream/bytes.js";
import { type Capabilities, capabilitiesFromWire } from "../../stream/capabilities.js";
import type { Clock } from "../../stream/clock.js";
import { Deferred } from "../../stream/deferred.js";
import { relayLostError } from "../../stream/failure-detail.js";
import type { Leg } from "../../stream/leg.js";
import {
  createLegCall,
  relayOf,
  transportError,
  transportFactsOf,
  transportKind,
} from "../transport/transport-facts.js";

export interface LegDrive {
  leg: Leg;
  transport: () => Promise<Transport>;
  method: LegMethod;
  open: MessageInitShape<typeof OpenSchema>;
  /** For Accept: the client's capabilities, from its offer. On Connect, `Accepted` brings the listener's. */
  peer?: Capabilities;
  clock: Clock;
}

/** The relay has this long to answer an `Open`, a connection to it included. */
const attachTimeoutMs = 20_000;
/**
 * The relay has this long to end the call after the stream was finished: its own wait for the peer, and 15 s more.
 */
const finishTimeoutMs = 45_000;
/** The linger timeout of a relay that does not name it, as a relay in this process does not. */
const usualLingerTimeoutMs = 30_000;
/** The reset has this long to get out; then the call is cancelled, which the peer hears without the reason. */
const resetTimeoutMs = 1_000;

/**
 * Runs the RPC of a leg from its `Open` to its end. Never rejects: the leg tells how it ended. A stream that is over
 * before the transport is there makes no call.
 */
export async function driveLeg({ leg, transport: openTransport, method, open, peer, clock }: LegDrive): Promise<void> {
  let transport: Transport | undefined;
  const abort = new AbortController();
  const attached = new Deferred<void>();
  const stopTimer = endInTime(leg, method, clock, () => abort.abort());
  const stopWaiting = clock.after(attachTimeoutMs, () => {
    leg.fail(relayLostError(`${relayOf(transport)} does not answer`));
  });
  let maxHeldEndMs = usualLingerTimeoutMs / 2;
  let stopHolding: (() => void) | undefined;
  async function* requests(): AsyncGenerator<LegRequest> {
    yield { message: { case: "open", value: open } };
    await attached.promise;
    for (let frame = await leg.nextFrame(); frame !== undefined; frame = await leg.nextFrame()) {
      const { messages } = frame;
      try {
        yield { message: { case: "frame", value: frame } };
      } finally {
        // A transport that asks for more, or for no more, has encoded this frame some turns after it had asked for it.
        if (messages.some(({ data }) => isDetached(data.buffer))) leg.endpoint.reset(transferredAwayError());
      }
    }
  }
  try {
    transport = await openTransport();
    if (leg.endpoint.state.kind !== "open") return leg.ended();
    const call = createLegCall(transport, method);
    let header: Headers | undefined;
    const onHeader = (received: Headers) => {
      header = received;
    };
    for await (const { message } of await call(requests(), abort.signal, onHeader)) {
      switch (message.case) {
        case "opened":
          transportFactsOf(transport).setHeartbeat?.(message.value.heartbeatIntervalMs);
          // The other half is for the ack to arrive, and for the calls to end by themselves.
          maxHeldEndMs = (message.value.limits?.lingerTimeoutMs || usualLingerTimeoutMs) / 2;
          leg.attach({
            streamId: message.value.streamId,
            maxFrameBytes: message.value.limits?.maxFrameBytes,
            transport: transportKind(transport, header),
          });
          if (peer !== undefined) leg.accept(peer);
          attached.resolve();
          stopWaiting();
          break;
        case "accepted":
          leg.accept(capabilitiesFromWire(message.value.capabilities));
          break;
        case "frame": {
          const room = leg.receive(message.value);
          if (leg.endpoint.holdsEnd) stopHolding ??= clock.after(maxHeldEndMs, () => leg.endpoint.acknowledgeEnd());
          if (room !== undefined) await room;
          break;
        }
      }
    }
    leg.ended();
  } catch (reason) {
    leg.fail(transportError(reason, transport, leg.isAttached));
    // An answer that breaks the rules need not be the end of its call.
    abort.abort();
  } finally {
    stopTimer();
    stopWaiting();
    stopHolding?.();
    attached.resolve();
  }
}

/**
 * Cancels the call if it does not end soon after the stream has.
 *
 * Before the listener has accepted, the relay takes no frames. A client that resets its stream then hangs up at once. A
 * listener's reset goes out when the relay has answered its `Open`, which has a deadline of its own.
 */
function endInTime(leg: Leg, method: LegMethod, clock: Clock, cancel: () => void): () => void {
  let stop = () => {};
  const onOver = (kind: "closed" | "resetting" | "failed") => {
    stop();
    if (kind !== "resetting" || leg.isAccepted) {
      stop = clock.after(kind === "closed" ? finishTimeoutMs : resetTimeoutMs, cancel);
    } else if (method === "connect") cancel();
  };
  leg.on("over", onOver);
  return () => {
    leg.off("over", onOver);
    stop();
  };
}
