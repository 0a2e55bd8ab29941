import { Code } from "@connectrpc/connect";
import { Failure, Hop } from "../../../gen/streamserver/v1/failure_pb.js";
import { StreamError } from "../../../stream/error/stream-error.js";
import type { Clock } from "../../../stream/platform/clock.js";
import type { Claims } from "../../admission/caller.js";
import type { Grants } from "../../admission/policy/grants.js";
import { randomId } from "../../relay/token.js";

/** A link that nobody has opened for this long is good no longer: time enough to be sent and read. */
export const linkLifeMs = 600_000;
/** Links that wait to be opened: 10,000 take 5 MB. */
const maxLinks = 10_000;
/** Links of one maker that wait to be opened. The oldest leaves for the next one. */
const maxLinksPerMaker = 100;

interface VisitLink {
  name: string;
  claims: Claims;
  /** Who may have only so many links. */
  maker: string;
  expiresAtMs: number;
}

/** Links that let one browser each in to a name, with the grant of whoever made them. In this process alone. */
export class VisitLinks {
  readonly #clock: Clock;
  readonly #grants: Grants;
  /** By their codes, the oldest first. */
  readonly #links = new Map<string, VisitLink>();

  constructor(clock: Clock, grants: Grants) {
    this.#clock = clock;
    this.#grants = grants;
  }

  /** Makes a link, and returns its code. Throws FAILURE_LIMIT_REACHED if too many wait. */
  make(name: string, claims: Claims, maker: string): string {
    this.#dropOld();
    this.#makeRoomFor(maker);
    if (this.#links.size >= maxLinks) {
      const message = `${maxLinks} links wait to be opened already`;
      throw new StreamError(message, { failure: Failure.LIMIT_REACHED, code: Code.ResourceExhausted, hop: Hop.RELAY });
    }
    const code = randomId();
    this.#links.set(code, { name, claims, maker, expiresAtMs: this.#clock.now() + linkLifeMs });
    return code;
  }

  /** Whether a code is one of a link to a name that was not opened, and whose grant is good. */
  has(code: string, name: string): boolean {
    return this.#goodLink(code, name) !== undefined;
  }

  /** Uses a link up. Returns the grant of its maker; undefined for a code that is none, or not any more. */
  take(code: string, name: string): Claims | undefined {
    const link = this.#goodLink(code, name);
    if (link !== undefined) this.#links.delete(code);
    return link?.claims;
  }

  #goodLink(code: string, name: string): VisitLink | undefined {
    const link = this.#links.get(code);
    if (link === undefined || link.name !== name || link.expiresAtMs <= this.#clock.now()) return undefined;
    return this.#grants.isGood(link.claims) ? link : undefined;
  }

  #makeRoomFor(maker: string): void {
    let oldest = "";
    let count = 0;
    for (const [code, link] of this.#links) {
      if (link.maker !== maker) continue;
      if (count === 0) oldest = code;
      count += 1;
    }
    if (count >= maxLinksPerMaker) this.#links.delete(oldest);
  }

  #dropOld(): void {
    const nowMs = this.#clock.now();
    for (const [code, { expiresAtMs }] of this.#links) {
      if (expiresAtMs > nowMs) break;
      this.#links.delete(code);
    }
  }
}
