import type { MessageInitShape } from "@bufbuild/protobuf";
import type { ListRequest, ListResponseSchema, WatchResponseSchema } from "../../gen/streamserver/v1/relay_pb.js";
import type { StreamError } from "../../stream/error/stream-error.js";
import { Condition } from "../../stream/platform/deferred.js";
import type { Hold } from "../admission/admission.js";
import { type Caller, localCaller } from "../admission/caller.js";
import type { OnGrantEnd } from "../admission/grants.js";
import { heartbeat, withHeartbeat } from "./heartbeat.js";
import type { Relay } from "./relay.js";

/** Names in one answer to `List`. The data of 1,000 names of 256 bytes, the default limit, is 256,000 bytes. */
export const maxNamesPerPage = 1_000;

type WatchEvent = NonNullable<MessageInitShape<typeof WatchResponseSchema>["event"]>;

/** Whether a caller is shown a name. */
type NameFilter = (name: string) => boolean;

const showsAll: NameFilter = () => true;

/** The listed names, to be read once (`list`) or followed (`watch`). */
export class Directory {
  readonly #relay: Relay;
  readonly #watches = new Set<Watch>();

  constructor(relay: Relay) {
    this.#relay = relay;
  }

  get watchers(): number {
    return this.#watches.size;
  }

  /** Ends all watching. */
  close(): void {
    for (const watch of [...this.#watches]) watch.end();
  }

  /** Returns a page of the names that `shows` shows. */
  list(
    { prefix, pageSize, pageToken }: ListRequest,
    shows: NameFilter = showsAll,
  ): MessageInitShape<typeof ListResponseSchema> {
    const size = pageSize === 0 ? maxNamesPerPage : Math.min(pageSize, maxNamesPerPage);
    const names: string[] = [];
    for (const name of this.#relay.registry.listed(prefix, pageToken)) {
      if (!shows(name)) continue;
      if (names.length === size) return { names, nextPageToken: names.at(-1) ?? "" };
      names.push(name);
    }
    return { names, nextPageToken: "" };
  }

  #hold(caller: Caller, onGrantEnd: OnGrantEnd): Hold {
    try {
      return this.#relay.admission.hold(caller, { kind: "watch" }, undefined, onGrantEnd);
    } catch (reason) {
      throw this.#relay.refused(reason, { call: "watch", caller });
    }
  }

  /** Tells of the names that `shows` shows. Throws FAILURE_LIMIT_REACHED. Ends when `signal` is aborted. */
  async *watch(
    prefix: string,
    signal: AbortSignal,
    caller: Caller = localCaller,
    shows: NameFilter = showsAll,
  ): AsyncGenerator<MessageInitShape<typeof WatchResponseSchema>> {
    const { limits, clock, registry } = this.#relay;
    const watch = new Watch([...registry.listed(prefix)].filter(shows));
    const hold = this.#hold(caller, (error) => watch.end(error));
    this.#watches.add(watch);
    const stop = registry.observe(({ kind, lease }) => {
      if (kind !== "created" && kind !== "destroyed") return;
      if (lease.listed && lease.name.startsWith(prefix) && shows(lease.name)) watch.change(lease.name, kind);
    });
    // The `finally` below is not enough: if the peer goes while its response is under backpressure, nobody asks this
    // generator for more, so it never ends.
    const release = () => {
      stop();
      watch.end();
      this.#watches.delete(watch);
      hold.release();
    };
    signal.addEventListener("abort", release);
    if (signal.aborted) release();
    try {
      for await (const event of withHeartbeat(watch.events(), clock, limits.heartbeatIntervalMs)) {
        yield { event: event === heartbeat ? { case: "ping", value: {} } : event };
      }
      const error = watch.endedWith ?? this.#relay.closed;
      if (error !== undefined) throw error;
    } finally {
      signal.removeEventListener("abort", release);
      release();
    }
  }
}

type WatchState = { kind: "starting" } | { kind: "current" } | { kind: "ended"; error: StreamError | undefined };

/** The changes that one watcher has not heard yet: at most one for each name, so that a slow watcher costs no more. */
class Watch {
  readonly #pending = new Map<string, "created" | "destroyed">();
  readonly #told = new Set<string>();
  readonly #changed = new Condition();
  #state: WatchState = { kind: "starting" };

  constructor(names: string[]) {
    for (const name of names) this.#pending.set(name, "created");
  }

  change(name: string, kind: "created" | "destroyed"): void {
    this.#pending.delete(name);
    if (kind === "created" || this.#told.has(name)) this.#pending.set(name, kind);
    this.#changed.notify();
  }

  /** The error that ended the watch. */
  get endedWith(): StreamError | undefined {
    return this.#state.kind === "ended" ? this.#state.error : undefined;
  }

  end(error?: StreamError): void {
    if (this.#state.kind === "ended") return;
    this.#state = { kind: "ended", error };
    this.#changed.notify();
  }

  async *events(): AsyncGenerator<WatchEvent, void, undefined> {
    while (this.#state.kind !== "ended") {
      const [next] = this.#pending;
      if (next !== undefined) {
        const [name, kind] = next;
        this.#pending.delete(name);
        if (kind === "created") this.#told.add(name);
        else this.#told.delete(name);
        yield { case: kind, value: { name } };
      } else if (this.#state.kind === "starting") {
        this.#state = { kind: "current" };
        yield { case: "current", value: {} };
      } else {
        await this.#changed.changed();
      }
    }
  }
}
