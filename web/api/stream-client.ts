import type { Transport } from "@connectrpc/connect";
import { Failure, Hop } from "../../gen/streamserver/v1/failure_pb.js";
import { capabilitiesToWire } from "../../stream/capabilities.js";
import type { Clock } from "../../stream/clock.js";
import type { Codec, RawInput, RawMessage } from "../../stream/codec.js";
import type { EndpointOptions } from "../../stream/endpoint.js";
import { Leg } from "../../stream/leg.js";
import { Stream } from "../../stream/stream.js";
import { StreamError } from "../../stream/stream-error.js";
import { driveLeg } from "./leg-driver.js";

export interface StreamClientOptions<Out = RawMessage, In = RawInput> extends EndpointOptions {
  /** Where the relay is under a base URL. Default "/browser-server". A transport has its own. */
  prefix?: string;
  /** What the messages are. Default: strings and bytes, as they were written. */
  codec?: Codec<Out, In>;
}

export interface ConnectOptions extends EndpointOptions {
  /** For the listener, before it accepts. At most 8 KiB in all, if the relay does not say otherwise. */
  metadata?: Record<string, string>;
  /** Destroys the stream when it is aborted. */
  signal?: AbortSignal;
}

export interface StreamClient<Out = RawMessage, In = RawInput> {
  /**
   * Opens a stream to whoever listens on `name`, and returns it at once: what is written before the listener accepts waits.
   * `opened` rejects, and "error" is emitted, with FAILURE_NO_SUCH_NAME, FAILURE_DECLINED, FAILURE_NOT_ACCEPTED_IN_TIME and
   * what else can stand in the way. The caller ends the stream.
   */
  connect(name: string, options?: ConnectOptions): Stream<Out, In>;
}

export const defaultPrefix = "/browser-server";

export interface OpenStreamInit<Out, In> extends ConnectOptions {
  name: string;
  codec: Codec<Out, In>;
  /** Carries bidirectional streams. */
  transport: () => Promise<Transport>;
  clock: Clock;
}

/** Opens a stream over a transport that is known to carry it. */
export function openStream<Out, In>(init: OpenStreamInit<Out, In>): Stream<Out, In> {
  const { name, metadata = {}, signal, codec, transport, clock } = init;
  const leg = new Leg(init);
  const stream = new Stream<Out, In>(leg, { codec, metadata });
  const onAbort = () => {
    const cause = signal?.reason;
    const canceled = new StreamError("aborted", { failure: Failure.PEER_CANCELED, hop: Hop.CALLER, cause });
    stream.destroy(cause instanceof StreamError ? cause : canceled);
  };
  if (signal?.aborted) onAbort();
  else signal?.addEventListener("abort", onAbort, { once: true });
  void driveLeg({
    leg,
    transport,
    method: "connect",
    open: { name, metadata, capabilities: capabilitiesToWire(leg.endpoint.capabilities) },
    clock,
  }).finally(() => signal?.removeEventListener("abort", onAbort));
  return stream;
}
