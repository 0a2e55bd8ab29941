import type { Claims } from "../caller.js";

/**
 * The part of a grant that the relay's own tokens carry, so that what lives by it does so in another process as well.
 */
export interface CarriedGrant {
  claims: Claims;
  /** The name that the grant is for. */
  name: string;
}

type Facts = [
  name: string,
  subject: string,
  tokenId: string,
  issuedAtMs: number,
  expiresAtMs: number | null,
  cut: boolean,
];

/** Returns a grant as text in base64url. It leaves out what a listener was told with the offer. */
export function carriedGrantText({ claims, name }: CarriedGrant): string {
  const { subject, tokenId, issuedAtMs, expiresAtMs = null, cut } = claims;
  const facts: Facts = [name, subject, tokenId, issuedAtMs, expiresAtMs, cut];
  return Buffer.from(JSON.stringify(facts)).toString("base64url");
}

/** Returns the grant in a text of this or an equal relay. Undefined for an empty text. */
export function carriedGrant(text: string): CarriedGrant | undefined {
  if (text === "") return undefined;
  const facts = JSON.parse(Buffer.from(text, "base64url").toString()) as Facts;
  const [name, subject, tokenId, issuedAtMs, expiresAtMs, cut] = facts;
  return {
    name,
    claims: { subject, name: "", meta: {}, tokenId, issuedAtMs, expiresAtMs: expiresAtMs ?? undefined, cut },
  };
}
