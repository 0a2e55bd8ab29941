import type { MessageInitShape } from "@bufbuild/protobuf";
import type { Transport } from "@connectrpc/connect";
import {
  type ListenRequestSchema,
  type ListenResponse,
  type Offer,
  type Registered,
  RelayService,
} from "../../gen/streamserver/v1/relay_pb.js";
import { afterAwake, heartbeatsUntilLost } from "../../link/link-watch.js";
import { only } from "../../link/rpc-transport.js";
import { relayLostError } from "../../stream/error/failure-detail.js";
import type { StreamError } from "../../stream/error/stream-error.js";
import type { Clock } from "../../stream/platform/clock.js";
import type { TransportKind } from "../../stream/stream-life.js";
import { callStream } from "../link/rpc-call.js";
import { doubt, relayOf, transportError, transportFactsOf, transportKind } from "../transport/transport-facts.js";
import { wayBackOf } from "../transport/way-back.js";

/** The listener that a {@link ListenCall} belongs to. None of its methods is called after `hangUp`. */
export interface ListenCallHandlers {
  /** The relay has answered, and how it was reached is known as far as it can be. Called once, as the first. */
  onRegistered(registered: Registered, kind: TransportKind | undefined): void;
  onOffer(offer: Offer): void;
  onWithdrawn(streamId: string): void;
  onDraining(): void;
  /** The call is over, by an end that is not this side's. Called once, as the last. */
  onEnd(error: StreamError): void;
}

/**
 * One call of `Listen`, which begins when it is made.
 *
 * - A relay that does not answer within `timeoutMs` ends the call, and so does one that is silent for 2.5 heartbeats,
 *   unless the call is on a link, which has a watch of its own.
 * - The caller hangs up.
 */
export class ListenCall {
  readonly #transport: Transport;
  readonly #clock: Clock;
  readonly #handlers: ListenCallHandlers;
  readonly #abort = new AbortController();
  #header: Headers | undefined;
  #stopWaiting: () => void;

  constructor(
    transport: Transport,
    request: MessageInitShape<typeof ListenRequestSchema>,
    timeoutMs: number,
    clock: Clock,
    handlers: ListenCallHandlers,
  ) {
    this.#transport = transport;
    this.#clock = clock;
    this.#handlers = handlers;
    this.#stopWaiting = clock.after(timeoutMs, () => this.#end(doubt(transport)));
    void this.#run(request);
  }

  /** Has the next call over the same transport open a connection of its own, because the relay is draining. */
  moveOn(): void {
    transportFactsOf(this.#transport).moveOn?.(this.#header);
  }

  hangUp(): void {
    this.#stopWaiting();
    this.#abort.abort();
  }

  async #run(request: MessageInitShape<typeof ListenRequestSchema>): Promise<void> {
    const transport = this.#transport;
    const { signal } = this.#abort;
    let registered: Registered | undefined;
    const onHeader = (header: Headers) => {
      this.#header = header;
    };
    try {
      const options = { signal, timeoutMs: 0, onHeader };
      for await (const { event } of callStream(transport, RelayService.method.listen, only(request), options)) {
        if (signal.aborted) return;
        if (event.case === "registered") {
          registered = event.value;
          this.#stopWaiting();
          transportFactsOf(transport).setHeartbeat?.(registered.heartbeatIntervalMs);
          this.#handlers.onRegistered(registered, transportKind(transport, this.#header));
          wayBackOf(transport, this.#clock).gotThrough();
        } else this.#onEvent(event);
        if (registered !== undefined && transportKind(transport, this.#header) === "native") this.#watch(registered);
      }
      this.#end(relayLostError(`${relayOf(transport)} ended the lease`));
    } catch (reason) {
      this.#end(transportError(reason, transport, registered !== undefined));
    }
  }

  #onEvent({ case: kind, value }: ListenResponse["event"]): void {
    if (kind === "offer") this.#handlers.onOffer(value);
    else if (kind === "withdrawn") this.#handlers.onWithdrawn(value.streamId);
    else if (kind === "draining") this.#handlers.onDraining();
  }

  #watch({ heartbeatIntervalMs }: Registered): void {
    if (this.#abort.signal.aborted) return;
    this.#stopWaiting();
    const silenceMs = heartbeatsUntilLost * heartbeatIntervalMs;
    const onSilence = () => this.#end(relayLostError(`${relayOf(this.#transport)} is silent`));
    this.#stopWaiting = afterAwake(this.#clock, silenceMs, onSilence);
  }

  #end(error: StreamError): void {
    if (this.#abort.signal.aborted) return;
    this.hangUp();
    this.#handlers.onEnd(error);
  }
}
