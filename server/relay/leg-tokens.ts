import type { CarriedGrant } from "../admission/policy/carried-grant.js";
import type { Grants } from "../admission/policy/grants.js";
import type { Offer, OfferPlace } from "./lease/offer.js";
import { offerGoneError } from "./lease/offer.js";
import type { Registry } from "./lease/registry.js";
import type { Role } from "./stream/half.js";
import { legFacts, legFactsText } from "./stream/leg-facts.js";
import type { Splice } from "./stream/splice.js";
import type { Splices } from "./stream/splices.js";
import type { TokenIssuer, TokenSigner } from "./token.js";

/** The purposes of the tokens with which the two endpoints prove that a stream is theirs. */
const purposes = { client: "client leg", listener: "listener leg" } as const;

export interface LegTokensInit {
  signer: TokenSigner;
  grants: Grants;
  registry: Registry;
  splices: Splices;
}

/** The tokens with which endpoints prove that a stream, or an offer of one, is theirs. */
export class LegTokens {
  readonly #init: LegTokensInit;

  constructor(init: LegTokensInit) {
    this.#init = init;
  }

  /** The proof that a leg of a stream is an endpoint's. */
  legToken(role: Role, streamId: string): string {
    const grant = this.#init.splices.get(streamId)?.grantOf(role);
    return this.#init.signer.sign(purposes[role], streamId, "", grant && this.#init.grants.textOf(grant));
  }

  /**
   * The listener's proof that an offer was announced on its lease, by default the one where the offer waits. It is
   * worth nothing once the offer waits elsewhere, or was taken there.
   */
  offerToken({ id }: Offer, lease: OfferPlace | undefined = this.#init.splices.get(id)?.place): string {
    const { claims } = lease?.caller ?? {};
    const name = this.#init.splices.get(id)?.name ?? "";
    const grant = claims && this.#init.grants.textOf({ claims, name });
    return this.#init.signer.sign(purposes.listener, id, "", legFactsText({ grant, leaseId: lease?.id }));
  }

  /** Returns which process has signed the token of an endpoint. Throws FAILURE_TOKEN_INVALID. */
  verify(role: Role, streamId: string, token: string): TokenIssuer {
    return this.#init.signer.verify(purposes[role], streamId, token);
  }

  /** Returns the endpoint whose token it is, and which process has signed it. Throws FAILURE_TOKEN_INVALID. */
  proven(streamId: string, token: string): { role: Role; issuer: TokenIssuer } {
    try {
      return { role: "client", issuer: this.verify("client", streamId, token) };
    } catch {
      return { role: "listener", issuer: this.verify("listener", streamId, token) };
    }
  }

  /**
   * Throws FAILURE_OFFER_GONE for the token of an offer that waits, or was taken, elsewhere than at the lease on which
   * it was announced. Where an offer of another process was taken is not known, so the lease has to be held here; while
   * it may still be made anew, the error is that of `awayError`.
   */
  checkLease(splice: Splice | undefined, token: string, issuer: TokenIssuer, awayError = offerGoneError): void {
    const { leaseId } = legFacts(this.#init.signer.carriedBy(token));
    if (leaseId === "") return;
    const place = splice?.place ?? this.#init.registry.byId(leaseId);
    const isForeign = issuer === "another process";
    if (place === undefined ? !isForeign : place.id === leaseId) return;
    const isAway = isForeign && place?.id === undefined && !this.#init.registry.wasMadeAnew(leaseId);
    throw isAway ? awayError() : offerGoneError();
  }

  /** The grant that the token of a leg or of an offer carries. */
  grantIn(role: Role, token: string): CarriedGrant | undefined {
    const action = role === "listener" ? "listen" : "connect";
    return this.#init.grants.adopt(action, legFacts(this.#init.signer.carriedBy(token)).grant);
  }
}
