import { Code, type Transport } from "@connectrpc/connect";
import { Hop } from "../../gen/streamserver/v1/failure_pb.js";
import type { Offer } from "../../gen/streamserver/v1/relay_pb.js";
import type { Codec } from "../../stream/codec.js";
import { capabilitiesFromWire, capabilitiesToWire } from "../../stream/endpoint/capabilities.js";
import type { EndpointOptions } from "../../stream/endpoint/endpoint-options.js";
import { StreamError } from "../../stream/error/stream-error.js";
import type { Clock } from "../../stream/platform/clock.js";
import { Deferred, isThenable } from "../../stream/platform/deferred.js";
import { type Caller, Stream } from "../../stream/stream.js";
import { StreamLife } from "../../stream/stream-life.js";
import type { AccessToken } from "./access-token.js";
import { attach } from "./attacher.js";
import { reject } from "./rejection.js";

export interface OfferStreamInit<Out, In> extends EndpointOptions {
  offer: Offer;
  codec: Codec<Out, In>;
  clock: Clock;
  /** The transport that the offer came by, which carries bidirectional streams. */
  transport: Transport;
  /** The grace period of the relay that made the offer, in milliseconds; 0 if it resumes no streams. */
  graceMs: number;
  /** The access token of the listener, by which the stream lives. */
  token?: AccessToken | undefined;
  /** The offer waits no more. */
  onDecided: (decision: "accepted" | "rejected" | "withdrawn") => void;
  /** An accepted stream is over. */
  onOver: () => void;
  /** Called with an error of the stream that nobody listens for. */
  onUnheard: (error: StreamError) => void;
}

/** Relays that are older tell less of a caller. */
function callerOf({ caller }: Offer): Caller {
  const { origin = "", subject = "", name = "", meta = {}, viaGateway = false } = caller ?? {};
  return { origin, subject, name, meta, viaGateway };
}

type Decision = "open" | "accepted" | "rejected" | "withdrawn";

/**
 * A client at the door: its stream, which the first use accepts, unless it is rejected or withdrawn before.
 *
 * The relay is told of every decision: by `Accept`, or by `Reject` if there was no reason to call `Accept` any more,
 * because the stream was ended in the turn that accepted it, or if that call failed before the relay had answered it.
 */
export class OfferStream<Out, In> {
  readonly stream: Stream<Out, In>;
  #init: OfferStreamInit<Out, In>;
  readonly #life: StreamLife;
  readonly #told = new Deferred<void>();
  /** The error of the stream, if it failed because the application did. */
  #applicationFailed: StreamError | undefined;
  #decision: Decision = "open";

  constructor(init: OfferStreamInit<Out, In>) {
    this.#init = init;
    this.#life = new StreamLife({ ...init, resume: true });
    // From the start, so that a message that is too large for the client is refused where it is written.
    this.#life.endpoint.setPeer(capabilitiesFromWire(init.offer.capabilities));
    this.stream = new Stream<Out, In>(this.#life, {
      codec: init.codec,
      metadata: init.offer.metadata,
      caller: callerOf(init.offer),
      accept: () => this.accept(),
      reject: (error) => this.#reject(error),
      onUnheard: (error) => this.#onUnheard(error),
    });
    this.#life.on("over", () => this.#onOver());
    this.#life.once("attached", () => this.#told.resolve());
  }

  /** Resolves when the relay has heard of the decision, or cannot hear of it any more. */
  get told(): Promise<void> {
    return this.#told.promise;
  }

  get isDecided(): boolean {
    return this.#decision !== "open";
  }

  /**
   * Hands the stream to the application, unless it is decided before that. It is accepted when `application` returns,
   * or when the promise that it returned resolves. It is destroyed when `application` throws or its promise rejects,
   * and the error goes on to the platform as the application's own.
   */
  handTo(application: (stream: Stream<Out, In>) => unknown): void {
    queueMicrotask(() => {
      if (this.#decision !== "open") return;
      try {
        const result = application(this.stream);
        if (!isThenable(result)) return this.accept();
        Promise.resolve(result).then(
          () => this.accept(),
          (reason: unknown) => {
            // A callback that reads until its stream fails has not failed itself.
            if (this.#error !== undefined && this.#error === reason) return;
            this.#destroyFailed();
            throw reason;
          },
        );
      } catch (reason) {
        this.#destroyFailed();
        throw reason;
      }
    });
  }

  #destroyFailed(): void {
    this.#applicationFailed = new StreamError("the listener failed", { code: Code.Internal, hop: Hop.CALLER });
    this.stream.destroy(this.#applicationFailed);
  }

  /** Takes the offer, if it is still open. */
  accept(): void {
    if (this.#decision !== "open") return;
    this.#decide("accepted");
    void this.#attach();
  }

  /**
   * The relay announces the offer once more. It waits at another lease then, if the one before has ended, and the relay
   * takes a decision with the token of that lease only.
   */
  announceAgain(again: Pick<OfferStreamInit<Out, In>, "offer" | "transport" | "graceMs">): void {
    this.#init = { ...this.#init, ...again };
    if (this.#decision === "rejected" && this.#error !== undefined) this.#tell(this.#error);
  }

  /** The offer waits no more: the client has gone, or the server has ended. */
  withdraw(error: StreamError): void {
    if (this.#decision !== "open") return;
    this.#decide("withdrawn");
    this.#life.fail(error);
    this.#told.resolve();
  }

  async #attach(): Promise<void> {
    const { offer, transport, graceMs, clock, token } = this.#init;
    const { endpoint } = this.#life;
    await attach({
      life: this.#life,
      transport: async () => transport,
      method: "accept",
      open: {
        streamId: offer.streamId,
        legToken: offer.legToken,
        capabilities: capabilitiesToWire(endpoint.capabilities),
      },
      peer: capabilitiesFromWire(offer.capabilities),
      graceMs,
      clock,
      token,
    });
    if (!this.#life.isAttached && this.#error !== undefined) this.#tell(this.#error);
  }

  /** Does nothing where there is no client any more: an application that takes its time to decide cannot know. */
  #reject(error: StreamError): void {
    if (this.#decision === "rejected" || this.#decision === "withdrawn") return;
    if (this.#decision === "accepted") {
      const message = "the stream was used, and so accepted";
      throw new StreamError(message, { code: Code.FailedPrecondition, hop: Hop.CALLER });
    }
    this.#decide("rejected");
    this.#life.fail(error);
    this.#tell(error);
  }

  #tell(error: StreamError): void {
    const { offer, transport, clock, graceMs } = this.#init;
    const { streamId, legToken } = offer;
    // Where the client has gone meanwhile, nobody is left to tell.
    reject({ transport, clock, token: { streamId, legToken }, error, graceMs, onTold: () => this.#told.resolve() });
  }

  #onOver(): void {
    // Destroying a stream that was not accepted is a way of declining it.
    if (this.#decision === "open" && this.#error !== undefined) this.#reject(this.#error);
    this.#init.onOver();
  }

  /**
   * A client that went away before the application used its stream is no failure of the application's, and an error
   * that the application threw is shown by the platform.
   */
  #onUnheard(error: StreamError): void {
    if (this.#decision !== "withdrawn" && error !== this.#applicationFailed) this.#init.onUnheard(error);
  }

  get #error(): StreamError | undefined {
    const { state } = this.#life.endpoint;
    return state.kind === "failed" || state.kind === "resetting" ? state.error : undefined;
  }

  #decide(decision: Exclude<Decision, "open">): void {
    this.#decision = decision;
    this.#init.onDecided(decision);
  }
}
