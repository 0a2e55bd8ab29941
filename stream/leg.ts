import { Failure } from "../gen/streamserver/v1/failure_pb.js";
import type { Capabilities } from "./endpoint/capabilities.js";
import { Endpoint, type EndpointEvent, type EndpointOptions } from "./endpoint/endpoint.js";
import { StreamError } from "./error/stream-error.js";
import { Deferred } from "./platform/deferred.js";
import { Emitter } from "./platform/emitter.js";

/**
 * How a stream travels: on a link over a WebSocket, on a link over `Receive` and `Send`, or in a bidirectional RPC of
 * its own.
 */
export type TransportKind = "websocket" | "fetch" | "native";

/** The relay's answer when the leg was attached. */
export interface LegOpened {
  streamId: string;
  /** Default 65,536. */
  maxFrameBytes: number | undefined;
  /** Undefined if that is not known any more. */
  transport: TransportKind | undefined;
}

export interface LegEvents {
  /** The relay has taken the leg. */
  attached: [];
  /** The stream is over. A stream that this side resets is over twice: "resetting", then "failed". */
  over: [kind: "closed" | "resetting" | "failed"];
}

/**
 * One endpoint's attachment to the relay, seen from the RPC that carries it: frames out, frames in, and how it began
 * and ended. The application's side of it is a `Stream`.
 */
export class Leg extends Emitter<LegEvents> {
  readonly endpoint: Endpoint;
  readonly opened = new Deferred<void>();
  /** Called after each change of the endpoint. It is the stream's, and a callback because changes are many. */
  onChange: (event: EndpointEvent) => void = () => {};
  /** Called when there may be a frame to send, and when the stream is over. */
  onSendable: () => void = () => {};
  /** Called when the endpoint may have room for another frame. */
  onRoom: () => void = () => {};
  #attached: LegOpened | undefined;
  #acceptance: "awaited" | "accepted" = "awaited";

  constructor(options: EndpointOptions) {
    super();
    this.endpoint = new Endpoint(options, (event) => {
      if (event === "sendable" || event === "state") this.onSendable();
      if (event === "read" || event === "state") this.onRoom();
      this.onChange(event);
      const { kind } = this.endpoint.state;
      if (event === "state" && kind !== "open") this.emit("over", kind);
    });
  }

  /** Empty until the relay has answered. */
  get streamId(): string {
    return this.#attached?.streamId ?? "";
  }

  get transport(): TransportKind | undefined {
    return this.#attached?.transport;
  }

  /** The relay has taken the leg. */
  attach(opened: LegOpened): void {
    this.#attached = opened;
    if (opened.maxFrameBytes) this.endpoint.setMaxFrameBytes(opened.maxFrameBytes);
    this.emit("attached");
  }

  get isAttached(): boolean {
    return this.#attached !== undefined;
  }

  get isAccepted(): boolean {
    return this.#acceptance === "accepted";
  }

  /** The peer is there. */
  accept(peer: Capabilities): void {
    this.#acceptance = "accepted";
    this.endpoint.setPeer(peer);
    this.opened.resolve();
  }

  /** Whether no frame will follow any more. */
  get isOver(): boolean {
    const { kind } = this.endpoint.state;
    return kind === "closed" || kind === "failed";
  }

  /** The RPC ended with an error. */
  fail(error: StreamError): void {
    this.endpoint.fail(error);
  }

  /** The RPC ended without an error. That is a loss unless both sides had finished before. */
  ended(): void {
    if (this.isOver) return;
    this.fail(new StreamError("the stream ended before it was finished", { failure: Failure.LEG_LOST }));
  }
}
