import { hash } from "node:crypto";

/** 10,000 digests of 43 characters take about 1 MB. */
const maxKnownTokens = 10_000;

/**
 * The access tokens that have let somebody in, by their SHA-256. When there are too many, the one that was not used for
 * longest leaves.
 */
export class KnownTokens {
  readonly #digests = new Set<string>();
  readonly #maxTokens: number;

  constructor(maxTokens = maxKnownTokens) {
    this.#maxTokens = maxTokens;
  }

  /** Returns a text of one fixed size for a token that is known, and undefined for any other. */
  digestOf(token: string): string | undefined {
    const digest = hash("sha256", token, "base64url");
    return this.#digests.has(digest) ? digest : undefined;
  }

  /** Remembers a token that has let somebody in. Each caller without one has the same, which says nothing. */
  add(token: string): void {
    if (token === "") return;
    const digest = hash("sha256", token, "base64url");
    this.#digests.delete(digest);
    this.#digests.add(digest);
    const [oldest] = this.#digests;
    if (this.#digests.size > this.#maxTokens && oldest !== undefined) this.#digests.delete(oldest);
  }

  /** Forgets a token that is good no longer. */
  delete(token: string): void {
    this.#digests.delete(hash("sha256", token, "base64url"));
  }
}
