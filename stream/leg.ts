import { Failure } from "../gen/streamserver/v1/failure_pb.js";
import type { Frame } from "../gen/streamserver/v1/frame_pb.js";
import type { Capabilities } from "./capabilities.js";
import { Condition, Deferred } from "./deferred.js";
import { Emitter } from "./emitter.js";
import { Endpoint, type EndpointEvent, type EndpointOptions } from "./endpoint.js";
import { StreamError } from "./stream-error.js";

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
  #attached: LegOpened | undefined;
  #acceptance: "awaited" | "accepted" = "awaited";
  readonly #sendable = new Condition();
  readonly #room = new Condition();

  constructor(options: EndpointOptions) {
    super();
    this.endpoint = new Endpoint(options, (event) => {
      if (event === "sendable" || event === "state") this.#sendable.notify();
      if (event === "read" || event === "state") this.#room.notify();
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

  /** Resolves with the next frame when there is one to send, and with undefined when the stream is over. */
  async nextFrame(): Promise<Frame | undefined> {
    for (;;) {
      const frame = this.endpoint.takeFrame();
      if (frame !== undefined) return frame;
      const { kind } = this.endpoint.state;
      if (kind === "closed" || kind === "failed") return undefined;
      await this.#sendable.changed();
    }
  }

  /**
   * Takes a frame. The next one may come when the promise resolves, or at once if there is none: the peer obeys credit.
   */
  receive(frame: Frame): Promise<void> | undefined {
    this.endpoint.receive(frame);
    return this.endpoint.hasRoom ? undefined : this.#untilRoom();
  }

  async #untilRoom(): Promise<void> {
    while (!this.endpoint.hasRoom) await this.#room.changed();
  }

  /** The RPC ended with an error. */
  fail(error: StreamError): void {
    this.endpoint.fail(error);
  }

  /** The RPC ended without an error. That is a loss unless both sides had finished before. */
  ended(): void {
    this.fail(new StreamError("the stream ended before it was finished", { failure: Failure.LEG_LOST }));
  }
}
