import { expect, test } from "vitest";
import type { AccessClaims } from "../../../../server/access/access-claims.js";
import { CheckedRights } from "../../../../server/access/stream-rights.js";
import { VerifiedTokens } from "../../../../server/access/verified-tokens.js";

function claims(expiresAtMs: number): AccessClaims {
  const facts = { subject: undefined, name: undefined, meta: undefined, tokenId: undefined, issuedAtMs: 0 };
  return { rights: CheckedRights.from({}), ...facts, isAdmin: false, expiresAtMs, cut: false };
}

test("VerifiedTokens.claimsOf knows a token until it expires, and for ten minutes at most", () => {
  const tokens = new VerifiedTokens();
  tokens.add("short", claims(1_000), 0);
  tokens.add("long", claims(10_000_000), 0);
  expect(tokens.claimsOf("short", 999)).toBeDefined();
  expect(tokens.claimsOf("short", 1_000)).toBeUndefined();
  expect(tokens.claimsOf("long", 599_999)).toBeDefined();
  expect(tokens.claimsOf("long", 600_000)).toBeUndefined();
  expect(tokens.size).toBe(0);
});

test("VerifiedTokens.add lets go of the token that was not used for longest", () => {
  const tokens = new VerifiedTokens(2);
  for (const token of ["a", "b"]) tokens.add(token, claims(1_000), 0);
  tokens.claimsOf("a", 0);
  tokens.add("c", claims(1_000), 0);
  expect(["a", "b", "c"].map((token) => tokens.claimsOf(token, 0) !== undefined)).toEqual([true, false, true]);
});
