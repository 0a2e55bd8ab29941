import { decodeJwt, decodeProtectedHeader } from "jose";
import { expect, test } from "vitest";
import { type MintTokenOptions, mintToken } from "../../../../server/access/mint-token.js";
import { pemPair, accessSecret as secret } from "../../../fakes/access-keys.js";

const streams = { "room/42": ["listen"] } as const;

test("mintToken makes a token of an hour with an id of its own, and no claim that was not given", async () => {
  const now = () => 1_800_000_000_500;
  const [token, other] = [await mintToken({ secret, streams, now }), await mintToken({ secret, streams, now })];
  expect(decodeProtectedHeader(token)).toEqual({ alg: "HS256", typ: "JWT" });
  expect(decodeJwt(token)).toEqual({ jti: expect.any(String), iat: 1_800_000_000, exp: 1_800_003_600, streams });
  expect(decodeJwt(other).jti).not.toBe(decodeJwt(token).jti);
});

test("mintToken puts each option into its claim", async () => {
  const { privateKey } = pemPair("P-256");
  const facts = { subject: "ann", name: "Ann", meta: { a: "b" }, issuer: "us", audience: "relay", tokenId: "t1" };
  const token = await mintToken({ privateKey, keyId: "k1", ...facts, streams, ttlMs: 60_000, cut: true, now: () => 0 });
  expect(decodeProtectedHeader(token)).toEqual({ alg: "ES256", typ: "JWT", kid: "k1" });
  const registered = { sub: "ann", iss: "us", aud: "relay", jti: "t1", iat: 0, exp: 60 };
  expect(decodeJwt(token)).toEqual({ ...registered, name: "Ann", meta: { a: "b" }, cut: true, streams });
});

test.each<[string, object]>([
  ["no key", {}],
  ["two keys", { secret, privateKey: "" }],
  ["a short secret", { secret: "c2hvcnQ" }],
  ["an RSA key of 1,024 bits", { privateKey: pemPair("rsa", 1_024).privateKey }],
  ["a public key", { privateKey: pemPair("P-256").publicKey }],
  ["rights that a relay does not know", { secret, streams: { a: ["own"] } }],
  ["a time that is no number", { secret, ttlMs: "10m" }],
  ["meta that is no text", { secret, meta: { a: 1 } }],
  ["an unknown option", { secret, ttl: 1 }],
  ["more than a token may hold", { secret, name: "n".repeat(8_192) }],
])("mintToken rejects for %s", async (_, options) => {
  await expect(mintToken({ streams, ...options } as MintTokenOptions)).rejects.toThrow();
});
