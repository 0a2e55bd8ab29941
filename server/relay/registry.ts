import { Failure } from "../../gen/streamserver/v1/failure_pb.js";
import { StreamError } from "../../stream/error/stream-error.js";
import type { Lease, LeaseEnd } from "./lease.js";
import type { RelayLimits } from "./limits.js";
import type { Warnings } from "./warnings.js";

export type NameChange = { kind: "created"; lease: Lease } | { kind: "destroyed"; lease: Lease; end: LeaseEnd };

/** The names with a listener, each held by one lease, and the observers of their changes. */
export class Registry {
  readonly #limits: RelayLimits;
  readonly #warnings: Warnings;
  readonly #leasesByName = new Map<string, Lease>();
  readonly #leasesById = new Map<string, Lease>();
  readonly #observers = new Set<(change: NameChange) => void>();

  constructor(limits: RelayLimits, warnings: Warnings) {
    this.#limits = limits;
    this.#warnings = warnings;
  }

  get size(): number {
    return this.#leasesByName.size;
  }

  /** Throws FAILURE_NAME_INVALID. */
  checkName(name: string): void {
    const nameBytes = Buffer.byteLength(name);
    if (nameBytes >= 1 && nameBytes <= this.#limits.maxNameBytes) return;
    throw new StreamError(`a name has 1 to ${this.#limits.maxNameBytes} bytes of UTF-8, not ${nameBytes}`, {
      failure: Failure.NAME_INVALID,
    });
  }

  /** Throws FAILURE_NAME_TAKEN or FAILURE_LIMIT_REACHED. The name is free again when the lease ends. */
  claim(lease: Lease): void {
    if (this.#leasesByName.has(lease.name)) {
      throw new StreamError(`somebody listens on ${JSON.stringify(lease.name)} already`, {
        failure: Failure.NAME_TAKEN,
      });
    }
    if (this.#leasesByName.size >= this.#limits.maxNames) {
      throw this.#warnings.limitReached("maxNames", `the relay holds ${this.#limits.maxNames} names already`);
    }
    this.#leasesByName.set(lease.name, lease);
    this.#leasesById.set(lease.id, lease);
    lease.onEnd = (end) => {
      this.#leasesByName.delete(lease.name);
      this.#leasesById.delete(lease.id);
      this.#tell({ kind: "destroyed", lease, end });
    };
    this.#tell({ kind: "created", lease });
  }

  /** Throws FAILURE_NO_SUCH_NAME. */
  byName(name: string): Lease {
    const lease = this.#leasesByName.get(name);
    if (lease !== undefined) return lease;
    throw new StreamError(`nobody listens on ${JSON.stringify(name)}`, { failure: Failure.NO_SUCH_NAME });
  }

  byId(id: string): Lease | undefined {
    return this.#leasesById.get(id);
  }

  /** The listed names that begin with `prefix`, in the order of their UTF-8 bytes. */
  listed(prefix: string): string[] {
    const names: { name: string; bytes: Buffer }[] = [];
    for (const { listed, name } of this.#leasesByName.values()) {
      if (listed && name.startsWith(prefix)) names.push({ name, bytes: Buffer.from(name) });
    }
    return names.sort((a, b) => Buffer.compare(a.bytes, b.bytes)).map(({ name }) => name);
  }

  /** Calls `observer` after each change until the returned function is called. */
  observe(observer: (change: NameChange) => void): () => void {
    this.#observers.add(observer);
    return () => this.#observers.delete(observer);
  }

  all(): Lease[] {
    return [...this.#leasesByName.values()];
  }

  #tell(change: NameChange): void {
    for (const observer of [...this.#observers]) observer(change);
  }
}

export function compareUtf8(a: string, b: string): number {
  return Buffer.compare(Buffer.from(a), Buffer.from(b));
}
