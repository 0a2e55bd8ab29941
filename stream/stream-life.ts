import type { Hop } from "../gen/streamserver/v1/failure_pb.js";
import type { Capabilities } from "./endpoint/capabilities.js";
import { Endpoint, type EndpointEvent } from "./endpoint/endpoint.js";
import type { EndpointInit } from "./endpoint/endpoint-options.js";
import type { StreamError } from "./error/stream-error.js";
import { Deferred } from "./platform/deferred.js";
import { Emitter } from "./platform/emitter.js";

/**
 * How a stream travels: on a link over a WebSocket, on a link over `Receive` and `Send`, or in a bidirectional RPC of
 * its own.
 */
export type TransportKind = "websocket" | "fetch" | "native";

/** The relay's answer when a leg was attached. */
export interface LegOpened {
  streamId: string;
  /** Default 65,536. */
  maxFrameBytes: number | undefined;
  /** Undefined if that is not known any more. */
  transport: TransportKind | undefined;
}

/** A connection is lost, and the stream waits for it to come back. */
export interface Suspension {
  /** The connection that is lost: HOP_RELAY for the one of this side to the relay, HOP_PEER for the one of the peer. */
  hop: Hop;
  /** How long the stream waits before it fails with FAILURE_LEG_LOST, in milliseconds. */
  graceMs: number;
}

/**
 * - "opening": the relay has not answered, or the listener has not accepted yet.
 * - "open": messages travel.
 * - "suspended": a connection is lost, and the stream waits for it to come back.
 * - "closed": both sides have finished, and everything has arrived.
 * - "failed": the stream ended in another way, of which `closed` tells.
 */
export type StreamState = "opening" | "open" | "suspended" | "closed" | "failed";

export interface StreamLifeEvents {
  /** The relay has taken a leg. */
  attached: [];
  /** The listener has accepted. */
  accepted: [];
  suspended: [suspension: Suspension];
  resumed: [];
  /** The stream is over. A stream that this side resets is over twice: "resetting", then "failed". */
  over: [kind: "closed" | "resetting" | "failed"];
}

/** Whether the listener has accepted, and whether a connection is lost. What is over is the endpoint's to say. */
type LifeState = { kind: "opening" | "open"; suspension: Suspension | undefined };

/**
 * An endpoint, and what befalls it from the first leg to the last. The application's side of it is a `Stream`; its legs
 * come and go, and tell it what the relay says.
 */
export class StreamLife extends Emitter<StreamLifeEvents> {
  readonly endpoint: Endpoint;
  readonly opened = new Deferred<void>();
  /** Called after each change of the endpoint. It is the stream's, and a callback because changes are many. */
  onChange: (event: EndpointEvent) => void = () => {};
  /** Called after each change of the endpoint, for the legs. */
  onLegChange: (event: EndpointEvent) => void = () => {};
  #attached: LegOpened | undefined;
  #state: LifeState = { kind: "opening", suspension: undefined };

  constructor(options: EndpointInit) {
    super();
    this.endpoint = new Endpoint(options, (event) => {
      this.onLegChange(event);
      this.onChange(event);
      const { kind } = this.endpoint.state;
      if (event === "state" && kind !== "open") this.emit("over", kind);
    });
  }

  get state(): StreamState {
    const { kind } = this.endpoint.state;
    if (kind !== "open") return kind === "closed" ? "closed" : "failed";
    return this.#state.suspension === undefined ? this.#state.kind : "suspended";
  }

  /** Empty until the relay has answered. */
  get streamId(): string {
    return this.#attached?.streamId ?? "";
  }

  get transport(): TransportKind | undefined {
    return this.#attached?.transport;
  }

  /** The relay has taken a leg. */
  attach(opened: LegOpened): void {
    this.#attached = opened;
    if (opened.maxFrameBytes) this.endpoint.setMaxFrameBytes(opened.maxFrameBytes);
    this.emit("attached");
  }

  get isAttached(): boolean {
    return this.#attached !== undefined;
  }

  get isAccepted(): boolean {
    return this.#state.kind === "open";
  }

  /** The peer is there. */
  accept(peer: Capabilities): void {
    this.#set({ ...this.#state, kind: "open" });
    this.endpoint.setPeer(peer);
    this.opened.resolve();
    this.emit("accepted");
  }

  /** A connection is lost. The application hears of the first of several. */
  suspend(suspension: Suspension): void {
    const wasSuspended = this.#state.suspension !== undefined;
    this.#set({ ...this.#state, suspension });
    if (!wasSuspended) this.emit("suspended", suspension);
  }

  /** All connections are there. */
  resume(): void {
    if (this.#state.suspension === undefined) return;
    this.#set({ ...this.#state, suspension: undefined });
    this.emit("resumed");
  }

  /** Whether no frame will follow any more. */
  get isOver(): boolean {
    const { kind } = this.endpoint.state;
    return kind === "closed" || kind === "failed";
  }

  /** The stream ends with an error that its peer is not told. */
  fail(error: StreamError): void {
    this.endpoint.fail(error);
  }

  #set(state: LifeState): void {
    this.#state = state;
  }
}
