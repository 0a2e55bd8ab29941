import { Failure, Hop } from "../../gen/streamserver/v1/failure_pb.js";
import type { Link } from "../../link/link.js";
import { StreamError } from "../../stream/error/stream-error.js";
import type { Clock } from "../../stream/platform/clock.js";
import type { Caller, Claims } from "../admission/caller.js";
import type { GrantHold, Grants } from "../admission/policy/grants.js";

/** A link ends so long after its grant, so that its calls can say before why they end. Half of a second is enough. */
const farewellMs = 500;

type LinkGrantState =
  /** No call of the link was let in by a grant. */
  | { kind: "none" }
  | { kind: "live"; claims: Claims; hold: GrantHold }
  /** The grant ended, and so will the link, unless another grant lets in a call of it before. */
  | { kind: "ended"; cancelDeadline: () => void }
  | { kind: "over" };

/**
 * The grant by which the last call on a link was let in. When it is revoked, or expires and cuts, the link ends as
 * well: at once if it has no call. Calls that were let in by other grants meet their streams on another link.
 */
export class LinkGrant {
  readonly #link: Link;
  readonly #clock: Clock;
  readonly #grants: Grants;
  #state: LinkGrantState = { kind: "none" };

  /** `caller` is the very object that all calls of the link have. */
  constructor(link: Link, caller: Caller, clock: Clock, grants: Grants) {
    this.#link = link;
    this.#clock = clock;
    this.#grants = grants;
    grants.follow(caller, (claims) => this.#letIn(claims));
    void link.closed.then(() => this.#set({ kind: "over" }));
  }

  #letIn(claims: Claims): void {
    if (this.#state.kind === "over" || (this.#state.kind === "live" && this.#state.claims === claims)) return;
    const hold = this.#grants.holdLink(claims, () => this.#end());
    this.#set({ kind: "live", claims, hold });
  }

  #end(): void {
    const close = () => this.#link.close(grantOverError());
    if (this.#link.size === 0) return close();
    this.#set({ kind: "ended", cancelDeadline: this.#clock.after(farewellMs, close) });
  }

  #set(state: LinkGrantState): void {
    if (this.#state.kind === "live") this.#state.hold.release();
    if (this.#state.kind === "ended") this.#state.cancelDeadline();
    this.#state = state;
  }
}

/** A client that still has calls of others on the link takes them up on another one. */
function grantOverError(): StreamError {
  const message = "the access token of the last call on the link is good no longer";
  return new StreamError(message, { failure: Failure.LEG_LOST, hop: Hop.RELAY });
}
