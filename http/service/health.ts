import { Code, ConnectError } from "@connectrpc/connect";
import { HealthCheckResponse_ServingStatus as ServingStatus } from "../../gen/grpc/health/v1/health_pb.js";
import { Condition } from "../../stream/platform/deferred.js";

/**
 * Tells by gRPC's health checking protocol whether the services of a server are served. The service "" is the server as
 * a whole. https://grpc.io/docs/guides/health-checking/
 */
export class Health {
  readonly #services: ReadonlySet<string>;
  readonly #changed = new Condition();
  readonly #watches = new Set<symbol>();
  #status: ServingStatus = ServingStatus.SERVING;

  /** `services`: the full names of the services that are served. */
  constructor(services: readonly string[]) {
    this.#services = new Set(["", ...services]);
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
   * server that has stopped does not come back. `onOver` is called once then.
   */
  async *watch(
    service: string,
    signal: AbortSignal,
    onOver: () => void,
  ): AsyncGenerator<ServingStatus, void, undefined> {
    const watch = Symbol(service);
    this.#watches.add(watch);
    // The `finally` below is not enough: if the peer goes while its response is under backpressure, nobody asks this
    // generator for more, so it never ends.
    const release = () => {
      if (!this.#watches.delete(watch)) return;
      onOver();
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

  /** Sets all services to NOT_SERVING. */
  stop(): void {
    this.#status = ServingStatus.NOT_SERVING;
    this.#changed.notify();
  }
}
