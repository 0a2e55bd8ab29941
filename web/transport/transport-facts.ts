import { createClient, type Transport } from "@connectrpc/connect";
import { RelayService } from "../../gen/streamserver/v1/relay_pb.js";
import { callLeg, type LegClient, type LegMethod, type LegRequest, type LegResponse } from "../../leg/leg-call.js";
import { callError, relayAt } from "../../stream/failure-detail.js";
import type { TransportKind } from "../../stream/leg.js";
import type { StreamError } from "../../stream/stream-error.js";

/** Facts about a transport that this package has made. */
export interface TransportFacts {
  /** How the call of a response travels, or without one the next call; undefined while that is not known. */
  kind(header?: Headers): TransportKind | undefined;
  /** The name of the relay in messages. Default {@link relayAt} of no URL. */
  relay?: string;
  /** Makes the calls of legs; undefined where only the transport may, because it has interceptors or another format. */
  legClient?: LegClient | undefined;
  /** Is told how often the relay says something. */
  setHeartbeat?(intervalMs: number): void;
}

/** `Connect` or `Accept`, bound to a transport. */
export type LegCall = (
  requests: AsyncIterable<LegRequest>,
  signal: AbortSignal,
  onHeader: (header: Headers) => void,
) => Promise<AsyncIterable<LegResponse>> | AsyncIterable<LegResponse>;

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

/** Why a call over a transport failed, as {@link callError} says. */
export function transportError(reason: unknown, transport: Transport | undefined, isAnswered: boolean): StreamError {
  return callError(reason, relayOf(transport), isAnswered);
}

/** Calls the RPC of a leg in the way that is best for the transport. */
export function createLegCall(transport: Transport, method: LegMethod): LegCall {
  const legClient = transportFactsOf(transport).legClient;
  if (legClient !== undefined) return (...call) => callLeg(legClient, method, ...call);
  const client = createClient(RelayService, transport);
  // A stream lasts as long as the application likes, whatever deadline the transport has for calls.
  return (requests, signal, onHeader) => emptied(client[method](requests, { signal, timeoutMs: 0, onHeader }));
}

/**
 * Takes the contents out of each response. A transport that the application has made is Connect's, and Connect 2.3.0
 * holds every response until the call ends: what it holds is then some hundred bytes, and not the data of a stream.
 */
async function* emptied(responses: AsyncIterable<LegResponse>): AsyncGenerator<LegResponse, void, undefined> {
  for await (const response of responses) {
    const { message } = response;
    response.message = { case: undefined };
    yield { message } as LegResponse;
  }
}
