import { Code, ConnectError } from "@connectrpc/connect";
import { HealthCheckResponse_ServingStatus as ServingStatus } from "../../gen/grpc/health/v1/health_pb.js";
import { Condition } from "../../stream/platform/deferred.js";
import type { Hold } from "../admission/admission.js";
import type { Caller } from "../admission/caller.js";
import type { Relay } from "../relay/relay.js";
import { wireErrorOf } from "./wire-error.js";

export interface HealthInit {
  /** The full names of the services that are served. */
  services: readonly string[];
  /** Counts the calls that watch, and hears of those that are refused. */
  relay: Pick<Relay, "admission" | "refused">;
}

/**
 * Tells by gRPC's health checking protocol whether the services of a server are served. The service "" is the server as
 * a whole. https://grpc.io/docs/guides/health-checking/
 */
export class Health {
  readonly #services: ReadonlySet<string>;
  readonly #relay: HealthInit["relay"];
  readonly #changed = new Condition();
  readonly #watches = new Set<symbol>();
  #status: ServingStatus = ServingStatus.SERVING;

  constructor({ services, relay }: HealthInit) {
    this.#services = new Set(["", ...services]);
    this.#relay = relay;
  }

  get watchers(): number {
    return this.#watches.size;
  }

  /** Throws `not_found` for a service that the server does not know. */
  check(service: string): ServingStatus {
    if (this.#services.has(service)) return this.#status;
    throw new ConnectError(`this server knows no service ${JSON.stringify(service)}`, Code.NotFound);
  }

  /** The status of all services. */
  list(): Record<string, ServingStatus> {
    return Object.fromEntries([...this.#services].map((service) => [service, this.#status]));
  }

  /**
   * Yields the status now, and again when it changes. Ends when `signal` is aborted, and after NOT_SERVING, because a
   * server that has stopped does not come back. Throws `resource_exhausted` when too many calls watch.
   */
  async *watch(service: string, signal: AbortSignal, caller: Caller): AsyncGenerator<ServingStatus, void, undefined> {
    const hold = this.#hold(caller);
    const watch = Symbol(service);
    this.#watches.add(watch);
    // The `finally` below is not enough: if the peer goes while its response is under backpressure, nobody asks this
    // generator for more, so it never ends.
    const release = () => {
      this.#watches.delete(watch);
      hold.release();
      this.#changed.notify();
    };
    signal.addEventListener("abort", release);
    if (signal.aborted) release();
    try {
      yield this.#services.has(service) ? this.#status : ServingStatus.SERVICE_UNKNOWN;
      while (this.#watches.has(watch) && this.#status === ServingStatus.SERVING) await this.#changed.changed();
      if (this.#watches.has(watch) && this.#services.has(service)) yield this.#status;
    } finally {
      signal.removeEventListener("abort", release);
      release();
    }
  }

  /** The protocol of health checks has no details of errors, so a refusal has its message, its code and its id. */
  #hold(caller: Caller): Hold {
    try {
      return this.#relay.admission.hold(caller, { kind: "health watch" });
    } catch (reason) {
      const { rawMessage, code, metadata } = wireErrorOf(this.#relay.refused(reason, { call: "health", caller }));
      throw new ConnectError(rawMessage, code, metadata);
    }
  }

  /** Sets all services to NOT_SERVING. */
  stop(): void {
    this.#status = ServingStatus.NOT_SERVING;
    this.#changed.notify();
  }
}
