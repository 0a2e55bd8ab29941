import { Failure, Hop } from "../../gen/streamserver/v1/failure_pb.js";
import type { Link } from "../../link/link.js";
import { StreamError } from "../../stream/error/stream-error.js";
import type { Clock } from "../../stream/platform/clock.js";
import { followPage, pageLeftError } from "../page/page-life.js";
import type { LinkKind, LinkOpener, OpenedLink } from "./opened-link.js";

/** At 512 channels each, these carry more than the 10,000 streams that a relay holds by default. */
const maxLinks = 32;

interface Opening {
  link: Promise<Link>;
  abort: AbortController;
}

type PoolState =
  | { kind: "unused" }
  /** `links` take calls, in this order. `retired` ones end with the calls that they have. */
  | { kind: "used"; links: OpenedLink[]; retired: Set<OpenedLink>; opening: Opening | undefined }
  /** The page was left, and opens nothing before it is back. */
  | { kind: "left" };

/**
 * The links of a transport: one, which is opened when it is first needed, closed when it has been idle or its page is
 * left, and opened anew after it broke. Another is opened when none has room for a call, or to take the place of a
 * worse one.
 */
export class LinkPool {
  readonly #open: LinkOpener;
  readonly #clock: Clock;
  readonly #idleTimeoutMs: number;
  #state: PoolState = { kind: "unused" };
  #stopFollowing = () => {};

  constructor(open: LinkOpener, clock: Clock, idleTimeoutMs: number) {
    this.#open = open;
    this.#clock = clock;
    this.#idleTimeoutMs = idleTimeoutMs;
  }

  /** The kind of link that the next call gets; undefined while there is no link. */
  get kind(): LinkKind | undefined {
    return this.#state.kind === "used" ? this.#state.links[0]?.kind : undefined;
  }

  /** The kind of a link of this pool; undefined if the link is over. */
  kindOf(link: Link): LinkKind | undefined {
    if (this.#state.kind !== "used") return undefined;
    return [...this.#state.links, ...this.#state.retired].find((opened) => opened.link === link)?.kind;
  }

  /** A link with room for a call, which is opened if there is none. Rejects with a `StreamError`. */
  async get(): Promise<Link> {
    if (this.#state.kind === "left") throw pageLeftError();
    const state = this.#state.kind === "used" ? this.#state : this.#use();
    const free = state.links.find(({ link }) => link.hasRoom);
    if (free !== undefined) {
      free.hold?.(true);
      return free.link;
    }
    if (state.links.length >= maxLinks) {
      throw new StreamError(`all ${maxLinks} links are full`, { failure: Failure.LIMIT_REACHED, hop: Hop.CALLER });
    }
    state.opening ??= this.#another();
    return state.opening.link;
  }

  /** A link takes no more calls, and ends with those that it has. Does nothing for a link of another pool. */
  retire(link: Link): void {
    const state = this.#state;
    if (state.kind !== "used") return;
    const opened = state.links.find((each) => each.link === link);
    if (opened === undefined) return;
    state.links = state.links.filter((each) => each !== opened);
    state.retired.add(opened);
    closeRetired(link);
  }

  /** Gives up a link that is being opened, with `error`, and asks the peers of all links whether they are there. */
  doubt(error: StreamError): void {
    const state = this.#state;
    if (state.kind !== "used") return;
    const { opening } = state;
    state.opening = undefined;
    opening?.abort.abort(error);
    this.#wake();
    this.#dropIfUnused();
  }

  #use(): Extract<PoolState, { kind: "used" }> {
    this.#stopFollowing = followPage({
      onLeave: () => this.#leave(),
      onShow: () => this.#return(),
      onWake: () => this.#wake(),
    });
    const state = { kind: "used" as const, links: [], retired: new Set<OpenedLink>(), opening: undefined };
    this.#state = state;
    return state;
  }

  #another(): Opening {
    const abort = new AbortController();
    const { signal } = abort;
    const link = this.#open(signal, (better) => this.#replace(better, signal)).then(
      (opened) => {
        this.#add(opened, signal);
        return opened.link;
      },
      (reason: unknown) => {
        if (!signal.aborted) this.#opened();
        throw reason;
      },
    );
    return { link, abort };
  }

  /** Nothing is being opened any more. */
  #opened(): void {
    if (this.#state.kind !== "used") return;
    this.#state.opening = undefined;
    this.#dropIfUnused();
  }

  #add(opened: OpenedLink, opening: AbortSignal): void {
    const { link, hold } = opened;
    const state = this.#state;
    if (opening.aborted || state.kind !== "used") return link.close(opening.reason ?? pageLeftError());
    state.links.unshift(opened);
    let stopWaiting = () => {};
    link.onIdle = () => {
      stopWaiting();
      hold?.(false);
      if (state.retired.has(opened)) return closeRetired(link);
      stopWaiting = this.#clock.after(this.#idleTimeoutMs, () => link.closeIfIdle(), false);
    };
    void link.closed.then(() => {
      stopWaiting();
      state.retired.delete(opened);
      state.links = state.links.filter((other) => other !== opened);
      if (this.#state === state) this.#dropIfUnused();
    });
    this.#opened();
    // The calls that asked for the link may have been given up while it was opened. All others open their channels
    // first.
    queueMicrotask(() => link.size === 0 && link.onIdle());
  }

  /** Takes a link in the place of those of another kind, which take no more calls. */
  #replace(better: OpenedLink, opening: AbortSignal): void {
    const state = this.#state;
    if (opening.aborted || state.kind !== "used") return better.link.close(pageLeftError());
    for (const opened of state.links) {
      if (opened.kind !== better.kind) state.retired.add(opened);
    }
    state.links = state.links.filter((opened) => opened.kind === better.kind);
    this.#add(better, opening);
    for (const { link } of state.retired) closeRetired(link);
  }

  #dropIfUnused(): void {
    const state = this.#state;
    if (state.kind !== "used" || state.opening !== undefined || state.links.length + state.retired.size > 0) return;
    this.#drop();
  }

  #drop(): void {
    this.#state = { kind: "unused" };
    this.#stopFollowing();
  }

  #leave(): void {
    const state = this.#state;
    this.#state = { kind: "left" };
    if (state.kind !== "used") return;
    state.opening?.abort.abort(pageLeftError());
    for (const { link } of [...state.links, ...state.retired]) link.close(pageLeftError());
  }

  #return(): void {
    if (this.#state.kind === "left") this.#drop();
  }

  #wake(): void {
    if (this.#state.kind !== "used") return;
    for (const { watch } of [...this.#state.links, ...this.#state.retired]) watch.ask();
  }
}

/**
 * Closes a link without calls as soon as the relay has answered, and so has heard how they ended. A link that closes
 * drops what waits to be sent, and the relay would take its goodbye for the end of the streams that have moved.
 */
function closeRetired(link: Link): void {
  if (link.size === 0)
    void link
      .ping()
      .then(() => link.closeIfIdle())
      .catch(() => {});
}
