import type { Transport } from "@connectrpc/connect";
import type { LegCaller } from "../../leg/leg-call.js";
import { callError, relayAt, relayLostError } from "../../stream/error/failure-detail.js";
import type { StreamError } from "../../stream/error/stream-error.js";
import type { TransportKind } from "../../stream/stream-life.js";
import { decodedCaller } from "./decoded-call.js";

/** Facts about a transport that this package has made. */
export interface TransportFacts {
  /** How the call of a response travels, or without one the next call; undefined while that is not known. */
  kind(header?: Headers): TransportKind | undefined;
  /** The name of the relay in messages. Default {@link relayAt} of no URL. */
  relay?: string;
  /** Calls the RPC of a leg; undefined where only the transport may, because it has interceptors or another format. */
  callLeg?: LegCaller | undefined;
  /**
   * Whether the relay is in this process. Its legs end for good where they end, and nothing leads to another relay.
   */
  isLocal?: boolean;
  /** Is told how often the relay says something. */
  setHeartbeat?(intervalMs: number): void;
  /**
   * Has the next call open a new connection, because the relay of a call is draining, whose response has this head. The
   * calls under way go on. Not needed where the relay's connection says so itself, as in HTTP/2.
   */
  moveOn?(header?: Headers): void;
  /**
   * A call got no answer in time. Gives up a connection that is being opened, which fails with `error` for all calls
   * that wait for it, and ends connections whose peer does not answer either.
   */
  doubt?(error: StreamError): void;
}

const factsByTransport = new WeakMap<Transport, TransportFacts>();
/** The facts about a transport that the application made. */
const factsOfForeign: TransportFacts = { kind: () => "native" };

export function setTransportFacts(transport: Transport, facts: TransportFacts): void {
  factsByTransport.set(transport, facts);
}

export function transportFactsOf(transport: Transport): TransportFacts {
  return factsByTransport.get(transport) ?? factsOfForeign;
}

/**
 * How a call over a transport travels, by the head of its response; undefined while that is not known, or not any more.
 */
export function transportKind(transport: Transport, header: Headers | undefined): TransportKind | undefined {
  return transportFactsOf(transport).kind(header);
}

/** The name in messages of a transport's relay. There may be no transport yet. */
export function relayOf(transport: Transport | undefined): string {
  return (transport && transportFactsOf(transport).relay) ?? relayAt();
}

/** A call over a transport got no answer in time. Has the transport doubt its connections, and returns the error. */
export function doubt(transport: Transport): StreamError {
  const error = relayLostError(`${relayOf(transport)} does not answer`);
  transportFactsOf(transport).doubt?.(error);
  return error;
}

/** Why a call over a transport failed, as {@link callError} says. */
export function transportError(reason: unknown, transport: Transport | undefined, isAnswered: boolean): StreamError {
  return callError(reason, relayOf(transport), isAnswered);
}

/** The way to call the RPC of a leg that is best for a transport. */
export function legCallerOf(transport: Transport): LegCaller {
  return transportFactsOf(transport).callLeg ?? decodedCaller(transport);
}
