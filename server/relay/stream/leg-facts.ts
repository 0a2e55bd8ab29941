/** The facts that the token of a leg carries. */
export interface LegFacts {
  /** The grant by which the endpoint was let in, as `carriedGrant` reads it. Empty if there is none. */
  grant: string;
  /** For the token of an offer, the lease on which it was announced. Empty for the token of a leg that was attached. */
  leaseId: string;
}

/** Neither a grant nor a lease's id has it, for both are in base64url. */
const separator = "~";

/** Returns the facts as text that a token can carry. */
export function legFactsText({ grant = "", leaseId = "" }: { [Fact in keyof LegFacts]: string | undefined }): string {
  return leaseId === "" ? grant : `${grant}${separator}${leaseId}`;
}

/** Returns the facts in the text of a token that was verified. */
export function legFacts(text: string): LegFacts {
  const [grant = "", leaseId = ""] = text.split(separator);
  return { grant, leaseId };
}
