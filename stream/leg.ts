import { Failure } from "../gen/streamserver/v1/failure_pb.js";
import type { Frame } from "../gen/streamserver/v1/frame_pb.js";
import type { Capabilities } from "./capabilities.js";
import { Condition, Deferred } from "./deferred.js";
import { Endpoint, type EndpointEvent, type EndpointOptions } from "./endpoint.js";
import { StreamError } from "./stream-error.js";

/**
 * How a stream travels: on a link over a WebSocket, on a link over `Receive` and `Send`, or in a bidirectional RPC of its own.
 */
export type TransportKind = "websocket" | "fetch" | "native";

/** What the relay said when the leg was attached. */
export interface LegOpened {
  streamId: string;
  /** Default 65,536. */
  maxFrameBytes: number | undefined;
  /** Undefined if that is not known any more. */
  transport: TransportKind | undefined;
}

/**
 * One endpoint's attachment to the relay, seen from the RPC that carries it: frames out, frames in, and how it began and
 * ended. The other side of it is a `Stream`.
 */
export class Leg {
  readonly endpoint: Endpoint;
  readonly opened = new Deferred<void>();
  /** Called when the relay has taken the leg. */
  onAttached: () => void = () => {};
  /** Called after each change of the endpoint. */
  onChange: (event: EndpointEvent) => void = () => {};
  /** Called when the stream is over, for whoever runs the RPC. */
  onOver: (kind: "closed" | "resetting" | "failed") => void = () => {};
  #attached: LegOpened | undefined;
  #acceptance: "awaited" | "accepted" = "awaited";
  readonly #sendable = new Condition();
  readonly #room = new Condition();

  constructor(options: EndpointOptions) {
    this.endpoint = new Endpoint(options, (event) => {
      if (event === "sendable" || event === "state") this.#sendable.notify();
      if (event === "read" || event === "state") this.#room.notify();
      this.onChange(event);
      const { kind } = this.endpoint.state;
      if (event === "state" && kind !== "open") this.onOver(kind);
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
    this.onAttached();
  }

  get isAttached(): boolean {
    return this.#attached !== undefined;
  }

  get isAccepted(): boolean {
    return this.#acceptance === "accepted";
  }

  /** The other endpoint is there. */
  accept(peer: Capabilities): void {
    this.#acceptance = "accepted";
    this.endpoint.setPeer(peer);
    this.opened.resolve();
  }

  /** The next frame to send, as soon as it is to be sent. Undefined when the stream is over. */
  async nextFrame(): Promise<Frame | undefined> {
    for (;;) {
      const frame = this.endpoint.takeFrame();
      if (frame !== undefined) return frame;
      const { kind } = this.endpoint.state;
      if (kind === "closed" || kind === "failed") return undefined;
      await this.#sendable.changed();
    }
  }

  /** Takes a frame. What it gives resolves when the next one may come; undefined, as for a peer that obeys credit: at once. */
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

  /** The RPC ended without one, which is well only if both sides had finished and said so. */
  ended(): void {
    this.fail(new StreamError("the stream ended before it was finished", { failure: Failure.LEG_LOST }));
  }
}
