import type { MessageInitShape } from "@bufbuild/protobuf";
import type { ListRequest, ListResponseSchema, WatchResponseSchema } from "../../gen/streamserver/v1/relay_pb.js";
import type { StreamError } from "../../stream/error/stream-error.js";
import { Condition } from "../../stream/platform/deferred.js";
import type { Hold } from "../admission/admission.js";
import { type Caller, localCaller } from "../admission/caller.js";
import type { OnGrantEnd } from "../admission/policy/grants.js";
import { heartbeat, withHeartbeat } from "./heartbeat.js";
import type { Relay } from "./relay.js";
import { namesPerStep, WalkTurns } from "./walk-turns.js";

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
  readonly #turns: WalkTurns;

  constructor(relay: Relay) {
    this.#relay = relay;
    this.#turns = new WalkTurns(relay.clock);
  }

  get watchers(): number {
    return this.#watches.size;
  }

  /** Ends all watching. */
  close(): void {
    for (const watch of [...this.#watches]) watch.end();
  }

  /**
   * Resolves with a page of the names that `shows` shows, and with those that were found so far when `signal` is
   * aborted. Never rejects.
   */
  list(
    { prefix, pageSize, pageToken }: ListRequest,
    shows: NameFilter = showsAll,
    signal?: AbortSignal,
  ): Promise<MessageInitShape<typeof ListResponseSchema>> {
    const size = pageSize === 0 ? maxNamesPerPage : Math.min(pageSize, maxNamesPerPage);
    const names: string[] = [];
    return new Promise((resolve) => {
      let nextPageToken = "";
      const visit = (name: string) => {
        if (signal?.aborted) return false;
        if (!shows(name)) return true;
        if (names.length < size) return names.push(name) > 0;
        nextPageToken = names.at(-1) ?? "";
        return false;
      };
      this.#walk(prefix, pageToken, visit, () => resolve({ names, nextPageToken }));
    });
  }

  /**
   * Visits the listed names that begin with `prefix` and come after `after`, until `visit` returns false, and calls
   * `done`. It may take several turns; names that come and go meanwhile are visited or not.
   */
  #walk(prefix: string, after: string, visit: (name: string) => boolean, done: () => void): void {
    let last = after;
    this.#turns.add((hasTime) => {
      let visited = 0;
      for (const name of this.#relay.registry.listed(prefix, last)) {
        if (visited === namesPerStep || (visited > 0 && !hasTime())) return false;
        visited += 1;
        last = name;
        if (!visit(name)) break;
      }
      done();
      return true;
    });
  }

  #hold(caller: Caller, onGrantEnd: OnGrantEnd): Hold {
    try {
      return this.#relay.admission.hold(caller, { kind: "watch" }, undefined, onGrantEnd);
    } catch (reason) {
      throw this.#relay.refused(reason, { call: "watch", caller });
    }
  }

  /**
   * Tells of the names that `shows` shows. Throws FAILURE_LIMIT_REACHED. Ends when `signal` is aborted, and when the
   * grant of the caller ends; `onRevoked` is called then, because a caller that reads nothing never hears of it.
   */
  async *watch(
    prefix: string,
    signal: AbortSignal,
    caller: Caller = localCaller,
    shows: NameFilter = showsAll,
    onRevoked = () => {},
  ): AsyncGenerator<MessageInitShape<typeof WatchResponseSchema>> {
    const { limits, clock, registry } = this.#relay;
    const watch = new Watch(shows, this.#turns);
    const hold = this.#hold(caller, (error) => {
      watch.end(error);
      onRevoked();
    });
    this.#watches.add(watch);
    const stop = registry.observe(({ kind, lease }) => {
      if (kind !== "created" && kind !== "destroyed") return;
      if (lease.listed && lease.name.startsWith(prefix)) watch.change(lease.name, kind);
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
    const visit = (name: string) => watch.visit(name);
    this.#walk(prefix, "", visit, () => watch.endWalk());
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

type WatchState =
  /** Not all names that were there before have been visited. */
  | { kind: "walking" }
  /** The watcher has not been told all of them. */
  | { kind: "starting" }
  | { kind: "current" }
  | { kind: "ended"; error: StreamError | undefined };

/** The changes that one watcher has not heard yet: at most one for each name, so that a slow watcher costs no more. */
class Watch {
  readonly #shows: NameFilter;
  readonly #turns: WalkTurns;
  /** Names that were created, and of which it is not known yet whether the watcher is shown them. */
  readonly #untested = new Set<string>();
  /** Whether the test of those names waits for its turn. */
  #isTesting = false;
  readonly #pending = new Map<string, "created" | "destroyed">();
  readonly #told = new Set<string>();
  readonly #changed = new Condition();
  #state: WatchState = { kind: "walking" };

  constructor(shows: NameFilter, turns: WalkTurns) {
    this.#shows = shows;
    this.#turns = turns;
  }

  change(name: string, kind: "created" | "destroyed"): void {
    if (kind === "created") {
      this.#untested.add(name);
      return this.#test();
    }
    this.#untested.delete(name);
    this.#pending.delete(name);
    if (this.#told.has(name)) this.#pending.set(name, kind);
    this.#changed.notify();
  }

  /** Takes a name that is there. Returns false if nobody watches any more. */
  visit(name: string): boolean {
    if (this.#state.kind === "ended") return false;
    const isKnown = this.#told.has(name) ? this.#pending.get(name) !== "destroyed" : this.#pending.has(name);
    if (isKnown || !this.#shows(name)) return true;
    this.#pending.delete(name);
    this.#pending.set(name, "created");
    this.#changed.notify();
    return true;
  }

  /** All names that were there before have been visited. */
  endWalk(): void {
    if (this.#state.kind !== "walking") return;
    this.#state = { kind: "starting" };
    this.#changed.notify();
  }

  /** A name event asks the policy of each watcher, of which there may be a thousand, so this takes turns as well. */
  #test(): void {
    if (this.#isTesting) return;
    this.#isTesting = true;
    this.#turns.add((hasTime) => {
      let visited = 0;
      for (const name of this.#untested) {
        if (visited === namesPerStep || (visited > 0 && !hasTime())) return false;
        visited += 1;
        this.#untested.delete(name);
        if (!this.visit(name)) this.#untested.clear();
      }
      this.#isTesting = false;
      return true;
    });
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
