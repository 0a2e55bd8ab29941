import { create, fromBinary, toBinary } from "@bufbuild/protobuf";
import { Code, ConnectError, type HandlerContext } from "@connectrpc/connect";
import { Failure } from "../../../gen/streamserver/v1/failure_pb.js";
import {
  type AcceptRequest,
  type ConnectRequest,
  ConnectRequestSchema,
  type ConnectResponse,
  ConnectResponseSchema,
} from "../../../gen/streamserver/v1/relay_pb.js";
import { dataOf, envelope } from "../../../leg/envelope.js";
import { Parts } from "../../../leg/parts.js";
import { fromConnectError } from "../../../stream/error/failure-detail.js";
import { StreamError } from "../../../stream/error/stream-error.js";
import { Condition } from "../../../stream/platform/deferred.js";
import { Fifo } from "../../../stream/platform/fifo.js";
import type { Caller } from "../../admission/caller.js";
import type { Relay } from "../../relay/relay.js";
import { callEndOf, callerOf, expectEnd, heldBytesOf, onEnd, takePlace, tokenOf } from "../caller.js";
import { wireErrorOf } from "../wire-error.js";
import type { LegCarrier } from "./leg-carrier.js";
import { LegHandler } from "./leg-handler.js";
import type { LegRpc } from "./leg-rpc.js";

/**
 * Serves a leg whose call is decoded by Connect's own handler in front: JSON, a compression, a deadline. Its messages
 * are put into envelopes and taken out of them again, so that there is one way of serving a leg.
 */
export async function* decodedLeg(
  relay: Relay,
  rpc: LegRpc,
  requests: AsyncIterable<ConnectRequest | AcceptRequest>,
  context: HandlerContext,
): AsyncGenerator<ConnectResponse, void, undefined> {
  const leg = new DecodedLeg(relay, rpc, context);
  void leg.receiveAll(requests);
  try {
    yield* leg.responses();
  } finally {
    leg.leave();
  }
}

class DecodedLeg implements LegCarrier {
  readonly caller: Caller;
  readonly token: string;
  readonly #context: HandlerContext;
  readonly #relay: Relay;
  readonly #handler: LegHandler;
  /** The envelopes for the response, and its end as the last. */
  readonly #outgoing = new Fifo<Parts | { error: StreamError | undefined }>();
  #outgoingBytes = 0;
  /** A change of `#outgoing`, of `#reading` or of the signal. */
  readonly #changed = new Condition();
  #reading: "on" | "paused" = "on";
  #response: "open" | "ended" = "open";

  constructor(relay: Relay, rpc: LegRpc, context: HandlerContext) {
    this.caller = callerOf(context);
    this.token = tokenOf(context);
    this.#context = context;
    this.#relay = relay;
    this.#handler = new LegHandler(relay, this, rpc);
    // A response that its caller does not read is never asked for more, so only the signal tells that the call is over.
    context.signal.addEventListener("abort", () => this.leave(), { once: true });
  }

  get heldBytes(): number {
    return this.#outgoingBytes + heldBytesOf(this.#context);
  }

  takePlace(): void {
    takePlace(this.#context);
  }

  send(envelope: Parts): boolean {
    this.#outgoing.push(envelope);
    this.#outgoingBytes += envelope.byteLength;
    this.#changed.notify();
    return false;
  }

  pause(): void {
    this.#reading = "paused";
  }

  resume(): void {
    this.#reading = "on";
    this.#changed.notify();
  }

  /** The connection is retired when it brings a call that is refused. */
  retire(): void {}

  end(error: StreamError | undefined, timeoutMs: number): void {
    expectEnd(this.#context, timeoutMs);
    this.#outgoing.push({ error });
    this.#changed.notify();
  }

  cutOff(): void {
    expectEnd(this.#context, 0);
  }

  /** Nothing more is asked for. A leg whose response is whole counts until its caller has read that. */
  leave(): void {
    if (this.#response === "ended") onEnd(this.#context, () => this.#close());
    else this.#close();
  }

  #close(): void {
    // A response that was not read to its end is a broken call as well.
    this.#handler.close(this.#context.signal.aborted ? callEndOf(this.#context) : "broken");
    this.#changed.notify();
  }

  async *responses(): AsyncGenerator<ConnectResponse, void, undefined> {
    for (;;) {
      const next = this.#outgoing.shift();
      if (next === undefined) {
        if (this.#context.signal.aborted) return;
        this.#handler.drained();
        if (this.#outgoing.length === 0) await this.#changed.changed();
      } else if (next instanceof Parts) {
        this.#outgoingBytes -= next.byteLength;
        yield fromBinary(ConnectResponseSchema, dataOf(next));
      } else {
        this.#response = "ended";
        if (next.error !== undefined) throw wireErrorOf(next.error);
        return;
      }
    }
  }

  async receiveAll(requests: AsyncIterable<ConnectRequest | AcceptRequest>): Promise<void> {
    const { signal } = this.#context;
    try {
      for await (const { message } of requests) {
        const bytes = envelope(0, toBinary(ConnectRequestSchema, create(ConnectRequestSchema, { message })));
        this.#relay.admission.heldBytes.received(bytes.byteLength);
        this.#handler.receive(bytes);
        while (this.#reading === "paused" && !signal.aborted) await this.#changed.changed();
      }
      this.#handler.endRequest();
    } catch (reason) {
      const error = requestError(reason);
      if (error !== undefined) this.#handler.failUnlessAborted(error);
      else this.#handler.endRequest();
    }
  }
}

/**
 * The fault of a request that cannot be decoded. Undefined if its call broke off, which the signal of the call tells.
 */
function requestError(reason: unknown): StreamError | undefined {
  const { code, message, failure } = fromConnectError(reason);
  if (failure !== Failure.UNSPECIFIED) return fromConnectError(reason);
  if (!(reason instanceof ConnectError)) return undefined;
  if (code === Code.ResourceExhausted) return new StreamError(message, { failure: Failure.FRAME_TOO_LARGE });
  const isFault = code === Code.InvalidArgument || code === Code.Internal || code === Code.Unimplemented;
  return isFault ? new StreamError(message, { failure: Failure.PROTOCOL_VIOLATION }) : undefined;
}
