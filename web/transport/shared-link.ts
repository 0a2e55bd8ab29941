import { Code } from "@connectrpc/connect";
import { Failure, Hop } from "../../gen/streamserver/v1/failure_pb.js";
import type { Link } from "../../link/link.js";
import type { Clock } from "../../stream/clock.js";
import { StreamError } from "../../stream/stream-error.js";
import { followPage } from "../page/page-life.js";
import type { LinkKind, LinkOpener, OpenedLink } from "./opened-link.js";

type LinkState =
  | { kind: "none" }
  | { kind: "opening"; opening: Promise<OpenedLink>; link: Promise<Link>; abort: AbortController }
  | { kind: "open"; opened: OpenedLink }
  /** The page was left, and opens nothing before it is back. */
  | { kind: "left" };

/**
 * The link of all calls of a transport. It is opened when it is first needed, closed when it has been idle or its page is left,
 * and opened anew after it broke.
 */
export class SharedLink {
  readonly #open: LinkOpener;
  readonly #clock: Clock;
  readonly #idleTimeoutMs: number;
  #state: LinkState = { kind: "none" };
  #stopFollowing = () => {};

  constructor(open: LinkOpener, clock: Clock, idleTimeoutMs: number) {
    this.#open = open;
    this.#clock = clock;
    this.#idleTimeoutMs = idleTimeoutMs;
  }

  /** What carries the link; undefined while there is none. */
  get kind(): LinkKind | undefined {
    return this.#state.kind === "open" ? this.#state.opened.kind : undefined;
  }

  /** The link, which is opened if there is none. Rejects with a `StreamError`. */
  async get(): Promise<Link> {
    const state = this.#state;
    if (state.kind === "open") return state.opened.link;
    if (state.kind === "opening") return state.link;
    if (state.kind === "left") throw left();
    this.#stopFollowing = followPage({
      onLeave: () => this.#leave(),
      onShow: () => this.#return(),
      onWake: () => this.#wake(),
    });
    const abort = new AbortController();
    const opening = this.#open(abort.signal);
    const link = opening.then(
      (opened) => this.#keep(opened, opening),
      (reason: unknown) => {
        if (this.#isOpening(opening)) this.#drop();
        throw reason;
      },
    );
    this.#state = { kind: "opening", opening, link, abort };
    return link;
  }

  #isOpening(opening: Promise<OpenedLink>): boolean {
    return this.#state.kind === "opening" && this.#state.opening === opening;
  }

  #keep(opened: OpenedLink, opening: Promise<OpenedLink>): Link {
    const { link } = opened;
    if (!this.#isOpening(opening)) {
      link.close(left());
      return link;
    }
    this.#state = { kind: "open", opened };
    let stopWaiting = () => {};
    link.onIdle = () => {
      stopWaiting();
      stopWaiting = this.#clock.after(this.#idleTimeoutMs, () => link.closeIfIdle());
    };
    // Whoever asked for the link may have given up while it was opened.
    link.onIdle();
    void link.closed.then(() => {
      stopWaiting();
      if (this.#state.kind === "open") this.#drop();
    });
    return link;
  }

  #drop(): void {
    this.#state = { kind: "none" };
    this.#stopFollowing();
  }

  #leave(): void {
    const state = this.#state;
    this.#state = { kind: "left" };
    if (state.kind === "open") state.opened.link.close(left());
    if (state.kind === "opening") state.abort.abort(left());
  }

  #return(): void {
    if (this.#state.kind === "left") this.#drop();
  }

  #wake(): void {
    if (this.#state.kind === "open") this.#state.opened.watch.ask();
  }
}

function left(): StreamError {
  return new StreamError("the page was left", { code: Code.Canceled, failure: Failure.LEG_LOST, hop: Hop.CALLER });
}
