import { createHmac, createPublicKey } from "node:crypto";
import { createServer } from "node:http";
import type { AddressInfo } from "node:net";
import { Code } from "@connectrpc/connect";
import { SignJWT } from "jose";
import { afterAll, describe, expect, onTestFinished, test, vi } from "vitest";
import { Failure } from "../../../../gen/streamserver/v1/failure_pb.js";
import { checkedAccessKeys } from "../../../../server/access/access-keys.js";
import { AccessVerifier } from "../../../../server/access/access-verifier.js";
import type { KeySetTrouble } from "../../../../server/access/fetched-key-set.js";
import { mintToken } from "../../../../server/access/mint-token.js";
import {
  observeKeySet,
  type TokenPolicy,
  type TokenPolicyOptions,
  tokenPolicy,
} from "../../../../server/access/token-policy.js";
import type { AuthorizeRequest, Grant } from "../../../../server/admission/policy/authorize.js";
import { Revocations } from "../../../../server/admission/policy/revocations.js";
import { authorizeRequest, pemPair, accessSecret as secret } from "../../../fakes/access-keys.js";
import { rejection } from "../../../fakes/outcome.js";
import { Random } from "../../../fakes/traffic/mutations.js";

const nowMs = 1_800_000_000_000;
const dayMs = 86_400_000;
const now = () => nowMs;
const streams = { "room/*": ["connect"] } as const;
const [rsa, otherRsa, ec, ed] = [pemPair("rsa"), pemPair("rsa"), pemPair("P-256"), pemPair("ed25519")];
const shortRsa = pemPair("rsa", 1_024);

/** The answer of a policy, which may come at once or later. */
const ask = async (policy: TokenPolicy, token: string, changes: Partial<AuthorizeRequest> = {}) =>
  policy(authorizeRequest(token, changes));
const refusal = async (policy: TokenPolicy, token: string, changes: Partial<AuthorizeRequest> = {}) => {
  const { failure, code, message } = await rejection(ask(policy, token, changes));
  expect(failure).toBe(Failure.NOT_PERMITTED);
  // A message reaches logs, and may repeat no part of a token.
  for (const part of token.split(".")) if (part !== "") expect(message).not.toContain(part);
  return code;
};

const encoded = (value: unknown) => Buffer.from(JSON.stringify(value)).toString("base64url");
const goodClaims = { sub: "ann", exp: nowMs / 1_000 + 600, streams };
/** A token of any header and claims, with an HMAC by any key. */
function forgedToken(header: object, claims: object, key: string | Uint8Array): string {
  const content = `${encoded(header)}.${encoded(claims)}`;
  return `${content}.${createHmac("sha256", key).update(content).digest("base64url")}`;
}
const signed = (claims: object, header: object = {}) =>
  forgedToken({ alg: "HS256", ...header }, { ...goodClaims, ...claims }, Buffer.from(secret, "base64url"));

describe("tokenPolicy grants", () => {
  test.each([
    ["a shared secret", { secret }, { secret }],
    ["the second of two secrets", { secret: ["A".repeat(43), secret] }, { secret }],
    ["an RSA key", { publicKey: rsa.publicKey }, { privateKey: rsa.privateKey }],
    [
      "the second of two keys of other kinds",
      { publicKey: [rsa.publicKey, ed.publicKey] },
      { privateKey: ed.privateKey },
    ],
    ["a P-256 key", { publicKey: ec.publicKey }, { privateKey: ec.privateKey }],
    ["an Ed25519 key", { publicKey: ed.publicKey }, { privateKey: ed.privateKey }],
  ])("what a token of %s allows, with its facts", async (_, keys, key) => {
    const meta = { team: "blue" };
    const token = await mintToken({
      ...key,
      streams,
      subject: "ann",
      name: "Ann",
      meta,
      tokenId: "t1",
      cut: true,
      now,
    });
    const policy = tokenPolicy({ ...keys, now });
    const expected: Grant = {
      subject: "ann",
      name: "Ann",
      meta,
      tokenId: "t1",
      issuedAtMs: nowMs - 5_000,
      expiresAtMs: nowMs + 3_600_000,
      cut: true,
    };
    expect(await ask(policy, token)).toEqual(expected);
    expect(await refusal(policy, token, { name: "hall/42" })).toBe(Code.PermissionDenied);
    expect(await refusal(policy, token, { action: "listen" })).toBe(Code.PermissionDenied);
    expect(await refusal(policy, token, { action: "list", name: "room/" })).toBe(Code.PermissionDenied);
  });

  test("a subject the names of its own pattern, and no others", async () => {
    const token = await mintToken({ secret, subject: "ann", streams: { "user/{sub}/**": ["listen"] }, now });
    const policy = tokenPolicy({ secret, now });
    await ask(policy, token, { action: "listen", name: "user/ann/desk" });
    expect(await refusal(policy, token, { action: "listen", name: "user/bob/desk" })).toBe(Code.PermissionDenied);
  });

  test("a list that shows the names of its patterns", async () => {
    const token = await mintToken({ secret, streams: { "room/*": ["list"], "hall/*": ["connect"] }, now });
    const { shows } = await ask(tokenPolicy({ secret, now }), token, { action: "list", name: "" });
    expect(["room/1", "hall/1", "room/1/a"].map((name) => shows?.(name))).toEqual([true, false, false]);
  });

  test("callers without a token what anonymous allows, and nothing by default", async () => {
    const policy = tokenPolicy({ secret, anonymous: { "room/*": ["connect"] }, now });
    expect(await ask(policy, "")).toEqual({});
    expect(await refusal(policy, "", { action: "listen" })).toBe(Code.PermissionDenied);
    expect(await refusal(tokenPolicy({ secret, now }), "")).toBe(Code.Unauthenticated);
    // A token that is not good is not taken for none.
    expect(await refusal(policy, ".")).toBe(Code.Unauthenticated);
  });

  test("a token to the last moment, also one seen before, and expiredTokensCut ends what it opened", async () => {
    let time = nowMs;
    const policy = tokenPolicy({ secret, expiredTokensCut: true, clockToleranceMs: 0, now: () => time });
    const token = await mintToken({ secret, streams, ttlMs: 10_000, now });
    time = nowMs + 9_999;
    expect(await ask(policy, token)).toMatchObject({ cut: true, expiresAtMs: nowMs + 10_000 });
    time = nowMs + 10_000;
    expect(await refusal(policy, token)).toBe(Code.Unauthenticated);
  });
});

describe.each([
  ["5 s by default", {}, 5],
  ["clockToleranceMs", { clockToleranceMs: 2_000 }, 2],
])("tokenPolicy, with clocks that differ by %s,", (_, options, toleranceSeconds) => {
  const nowSeconds = nowMs / 1_000;
  const policy = tokenPolicy({ secret, now, ...options });

  test.each(["iat", "nbf"])("takes a token whose %s is not there yet", async (claim) => {
    await ask(policy, signed({ iat: nowSeconds, [claim]: nowSeconds + toleranceSeconds }));
    const later = signed({ [claim]: nowSeconds + toleranceSeconds + 1 });
    expect(await refusal(policy, later)).toBe(Code.Unauthenticated);
  });

  test("has a revocation count for a token of a clock that is ahead, whenever it is verified, and for none made later", async () => {
    let time = nowMs;
    const policyInTime = tokenPolicy({ secret, ...options, now: () => time });
    const revocations = new Revocations();
    const isRevoked = async (iat: number) => {
      const {
        issuedAtMs = time,
        subject = "",
        tokenId = "",
      } = await ask(policyInTime, signed({ sub: "ann", iat, exp: iat + 1_000 }));
      return revocations.includes({ issuedAtMs, subject, tokenId });
    };
    const ahead = nowSeconds + toleranceSeconds;
    expect(await isRevoked(ahead)).toBe(false);
    revocations.add({ sub: "ann" }, time);
    // Longer than a token is remembered.
    for (const passedMs of [0, 700_000]) {
      time = nowMs + passedMs;
      expect(await isRevoked(ahead)).toBe(true);
    }
    expect(await isRevoked(ahead + 1)).toBe(false);
  });

  test("lets in a token that has just expired, and does not put off the end of what it cuts", async () => {
    const exp = nowSeconds - toleranceSeconds + 1;
    expect(await ask(policy, signed({ exp }))).toMatchObject({ expiresAtMs: nowMs + 1_000 });
    expect(await ask(policy, signed({ exp, cut: true }))).toMatchObject({ expiresAtMs: exp * 1_000, cut: true });
    expect(await refusal(policy, signed({ exp: exp - 1 }))).toBe(Code.Unauthenticated);
  });
});

describe("tokenPolicy refuses", () => {
  const policy = tokenPolicy({ secret, issuer: "us", audience: "relay", clockToleranceMs: 0, now });
  const ours = { iss: "us", aud: "relay" };

  test("nothing of a token that has all of it, so that each token below fails for its own reason", async () => {
    await ask(policy, signed(ours));
    await ask(policy, signed({ ...ours, aud: ["other", "relay"], nbf: nowMs / 1_000 }));
  });

  test.each([
    ["a foreign issuer", signed({ ...ours, iss: "them" })],
    ["no issuer", signed({ aud: "relay" })],
    ["a foreign audience", signed({ ...ours, aud: "other" })],
    ["no audience", signed({ iss: "us" })],
    ["a time that has passed", signed({ ...ours, exp: nowMs / 1_000 })],
    ["no time of its end", signed({ ...ours, exp: undefined })],
    ["a time of its end that is text", signed({ ...ours, exp: String(nowMs) })],
    ["a time before which it is not good", signed({ ...ours, nbf: nowMs / 1_000 + 1 })],
    ["a time at which it was made that is to come", signed({ ...ours, iat: nowMs / 1_000 + 1 })],
    ["no rights", signed({ ...ours, streams: undefined })],
    ["rights that are a list", signed({ ...ours, streams: ["room/*"] })],
    ["an action that there is none of", signed({ ...ours, streams: { "room/*": ["connect", "own"] } })],
    ["a pattern that is none", signed({ ...ours, streams: { "room/*": ["connect"], "a**": [] } })],
    ["a subject that is no text", signed({ ...ours, sub: 7 })],
    ["meta that is no text", signed({ ...ours, meta: { admin: true } })],
    ["an extension that must be understood", signed(ours, { crit: ["b64"], b64: false })],
    ["another secret", forgedToken({ alg: "HS256" }, { ...goodClaims, ...ours }, Buffer.alloc(32))],
    ["an empty secret", forgedToken({ alg: "HS256" }, { ...goodClaims, ...ours }, "")],
    ["the algorithm none, and no signature", `${encoded({ alg: "none" })}.${encoded({ ...goodClaims, ...ours })}.`],
    ["the algorithm none, and a signature", signed(ours, { alg: "none" })],
    ["the algorithm NONE", signed(ours, { alg: "NONE" })],
    ["a name of its algorithm in lower case", signed(ours, { alg: "hs256" })],
    ["another HMAC", signed(ours, { alg: "HS512" })],
    ["no signature", signed(ours).replace(/[^.]+$/, "")],
    ["no signature and no point", signed(ours).replace(/\.[^.]+$/, "")],
    ["two parts of another token", `${signed(ours).split(".")[0]}.${encoded({ ...goodClaims, ...ours })}.AAAA`],
    ["a space behind it", `${signed(ours)} `],
    ["padding", `${signed(ours)}=`],
    ["no text", ""],
    ["more than 8 KiB", signed({ ...ours, name: "n".repeat(8_192) })],
  ])("a token with %s", async (_, token) => {
    expect(await refusal(policy, token)).toBe(Code.Unauthenticated);
    // What was refused once is not taken for verified.
    expect(await refusal(policy, token)).toBe(Code.Unauthenticated);
  });

  test("a token for an audience where the relay has none", async () => {
    expect(await refusal(tokenPolicy({ secret, now }), signed({ aud: "other" }))).toBe(Code.Unauthenticated);
  });

  test.each([
    ["the public key in PEM as the secret of HS256", rsa.publicKey],
    ["the public key in DER", createPublicKey(rsa.publicKey).export({ type: "spki", format: "der" })],
  ])("a token that is signed with %s", async (_, key) => {
    const asymmetric = tokenPolicy({ publicKey: rsa.publicKey, now });
    for (const alg of ["HS256", "RS256"]) {
      expect(await refusal(asymmetric, forgedToken({ alg }, goodClaims, key))).toBe(Code.Unauthenticated);
    }
  });

  test("a token of a foreign key, and one with its own key in the header", async () => {
    const asymmetric = tokenPolicy({ publicKey: rsa.publicKey, now });
    const foreign = await mintToken({ privateKey: otherRsa.privateKey, streams, now });
    expect(await refusal(asymmetric, foreign)).toBe(Code.Unauthenticated);
    const jwk = createPublicKey(ec.publicKey).export({ format: "jwk" });
    const header = { alg: "ES256", jwk: jwk as never, jku: "https://example.org/jwks" };
    const own = await new SignJWT(goodClaims).setProtectedHeader(header).sign(await pemKey(ec.privateKey));
    expect(await refusal(asymmetric, own)).toBe(Code.Unauthenticated);
  });

  test("each of 100,000 mutated tokens", { timeout: 120_000 }, async () => {
    const random = new Random(17);
    const good = [signed(ours), await mintToken({ secret, streams, issuer: "us", audience: "relay", now })];
    for (const token of good) await ask(policy, token);
    let admitted = 0;
    for (let batch = 0; batch < 200; batch += 1) {
      const tokens = Array.from({ length: 500 }, () => mutated(random.pick(good), random));
      const answers = tokens.map((token) =>
        ask(policy, token).then(
          () => good.includes(token) || admitted++,
          () => {},
        ),
      );
      await Promise.all(answers);
    }
    expect(admitted).toBe(0);
  });
});

const alphabet = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_.=+/ ";

/** Another text: characters changed, left out, put in or repeated, as often as not near an end of it. */
function mutated(token: string, random: Random): string {
  let text = token;
  for (let change = 0; change <= random.below(3); change += 1) {
    const at = random.chance(30) ? Math.max(0, text.length - 1 - random.below(3)) : random.below(text.length);
    const letter = alphabet.charAt(random.below(alphabet.length));
    const length = random.below(3);
    const put = random.chance(30) ? text.slice(at, at + length) : letter;
    text = text.slice(0, at) + put + text.slice(at + length);
  }
  return text;
}

const jwkOf = (pem: string) => createPublicKey(pem).export({ format: "jwk" });
const pemKey = async (pem: string) => (await import("node:crypto")).createPrivateKey(pem);

test("tokenPolicy answers at once, and within 50 µs, for a token that it has seen before", async () => {
  const policy = tokenPolicy({ publicKey: rsa.publicKey, now });
  const rights = Object.fromEntries(Array.from({ length: 10 }, (_, at) => [`hall-${at}/*`, ["connect"] as const]));
  const token = await mintToken({ privateKey: rsa.privateKey, streams: { ...rights, ...streams }, now });
  const first = policy(authorizeRequest(token));
  expect(first).toBeInstanceOf(Promise);
  await first;
  const requests = Array.from({ length: 20_000 }, () => authorizeRequest(Buffer.from(token).toString()));
  const begin = process.cpuUsage();
  for (const request of requests) expect(policy(request)).not.toBeInstanceOf(Promise);
  const { user, system } = process.cpuUsage(begin);
  expect((user + system) / requests.length).toBeLessThan(50);
});

describe("a key set", () => {
  const jwk = (pem: string, kid: string) => ({ ...jwkOf(pem), kid, use: "sig" });
  const keySet = { keys: [jwk(rsa.publicKey, "one")] };
  const requests: string[] = [];
  let status = 200;
  const server = createServer((request, response) => {
    requests.push(request.url ?? "");
    response.writeHead(status, { "content-type": "application/json", connection: "close" });
    response.end(JSON.stringify(keySet));
  });
  afterAll(() => new Promise((resolve) => server.close(resolve)));

  test("verifies a token by its key id, fetched once, and a token of a key that was added since", async () => {
    await new Promise<void>((resolve) => server.listen(0, "127.0.0.1", resolve));
    const jwks = `http://127.0.0.1:${(server.address() as AddressInfo).port}/keys`;
    const init = {
      keys: checkedAccessKeys({ jwks }),
      issuer: undefined,
      audience: undefined,
      clockToleranceMs: 0,
      now,
    };
    const verifier = new AccessVerifier({ ...init, keySetCooldownMs: 0 });
    const token = await mintToken({ privateKey: rsa.privateKey, keyId: "one", streams, now });
    await verifier.verify(token);
    await verifier.verify(await mintToken({ privateKey: rsa.privateKey, keyId: "one", streams, now }));
    expect(requests).toEqual(["/keys"]);
    const rotated = await mintToken({ privateKey: ec.privateKey, keyId: "two", streams, now });
    expect(await rejection(verifier.verify(rotated))).toMatchObject({ code: Code.Unauthenticated });
    keySet.keys.push(jwk(ec.publicKey, "two"));
    await verifier.verify(rotated);
    // A key that was taken out verifies no more once the set was fetched again.
    keySet.keys.shift();
    await rejection(verifier.verify(await mintToken({ privateKey: ed.privateKey, keyId: "three", streams, now })));
    expect(await rejection(verifier.verify(token))).toMatchObject({ code: Code.Unauthenticated });
    status = 500;
    let time = nowMs;
    const failing = new AccessVerifier({ ...init, keySetCooldownMs: 0, now: () => time });
    requests.splice(0);
    for (const _ of [1, 2, 3])
      expect(await rejection(failing.verify(rotated))).toMatchObject({ code: Code.Unavailable });
    expect(requests).toHaveLength(1);
    status = 200;
    time += 1_000;
    await failing.verify(rotated);
  });

  test("goes on to verify for a day while it cannot be fetched, but not with keys that a fetched one lacks", async () => {
    vi.useFakeTimers({ toFake: ["Date"], now: nowMs });
    onTestFinished(() => void vi.useRealTimers());
    const jwks = `http://127.0.0.1:${(server.address() as AddressInfo).port}/keys`;
    const policy = tokenPolicy({ jwks });
    const troubles: KeySetTrouble[] = [];
    const stop = observeKeySet(policy, (trouble) => troubles.push(trouble));
    // Each is a token of its own, because one that was seen before is not verified again for a while.
    const tokenOf = (privateKey: string, keyId: string) => mintToken({ privateKey, keyId, streams, ttlMs: dayMs * 2 });
    const askAfter = async (ms: number, { privateKey } = ec, keyId = "two") => {
      vi.setSystemTime(Date.now() + ms);
      return ask(policy, await tokenOf(privateKey, keyId));
    };
    keySet.keys = [jwk(ec.publicKey, "two"), jwk(rsa.publicKey, "one")];
    await askAfter(0);
    status = 500;
    requests.splice(0);
    for (const ms of [dayMs - 60_000, 0, 1_000, 1_000]) await askAfter(ms);
    // Nobody waits for the address again and again.
    expect([requests.length, troubles.length]).toEqual([1, 1]);
    expect(await rejection(askAfter(1_000, ed, "three"))).toMatchObject({ code: Code.Unavailable });
    expect(await rejection(askAfter(60_000))).toMatchObject({ code: Code.Unavailable });
    status = 200;
    keySet.keys = [jwk(ec.publicKey, "two")];
    await askAfter(1_000);
    expect(await rejection(askAfter(0, rsa, "one"))).toMatchObject({ code: Code.Unauthenticated });
    keySet.keys = [jwk(shortRsa.publicKey, "two")];
    expect(await rejection(askAfter(600_000))).toMatchObject({ code: Code.Unauthenticated });
    expect(troubles.at(-1)?.message).toContain("2048 bits");
    stop();
  });

  test("verifies no token of another key id, of a shared secret, or without an id where two keys fit", async () => {
    const jwks = { keys: [jwk(rsa.publicKey, "one"), jwk(otherRsa.publicKey, "two")] };
    const policy = tokenPolicy({ jwks, now });
    const { privateKey } = rsa;
    await ask(policy, await mintToken({ privateKey, keyId: "one", streams, now }));
    expect(await refusal(policy, await mintToken({ privateKey, keyId: "two", streams, now }))).toBe(
      Code.Unauthenticated,
    );
    expect(await refusal(policy, await mintToken({ privateKey, streams, now }))).toBe(Code.Unauthenticated);
    expect(await refusal(policy, signed({}, { kid: "one" }))).toBe(Code.Unauthenticated);
  });

  test("of which some keys have other uses verifies with the others", async () => {
    const encrypting = { ...jwk(otherRsa.publicKey, "other"), use: "enc" };
    const policy = tokenPolicy({
      jwks: { keys: [encrypting, { kty: "OKP", crv: "X25519" }, jwk(ec.publicKey, "two")] },
      now,
    });
    await ask(policy, await mintToken({ privateKey: ec.privateKey, keyId: "two", streams, now }));
  });
});

test.each<[string, unknown]>([
  ["no key", {}],
  ["two kinds of keys", { secret, publicKey: rsa.publicKey }],
  ["an unknown option", { secret, secrets: [] }],
  ["a short secret", { secret: "c2hvcnQ" }],
  ["no secret in the list", { secret: [] }],
  ["a private key", { publicKey: rsa.privateKey }],
  ["a key that is no PEM", { publicKey: secret }],
  ["a public key as the secret", { secret: Buffer.from(rsa.publicKey) }],
  ["an RSA key of 1,024 bits", { publicKey: shortRsa.publicKey }],
  ["a key of a curve that signs no tokens", { publicKey: pemPair("secp256k1").publicKey }],
  ["a key set with an RSA key of 1,024 bits", { jwks: { keys: [jwkOf(shortRsa.publicKey)] } }],
  ["a key set with a private key", { jwks: { keys: [{ ...jwkOf(ec.publicKey), d: "AAAA" }] } }],
  ["a key set with a shared secret", { jwks: { keys: [{ kty: "oct", k: secret }] } }],
  ["a key set with a malformed key", { jwks: { keys: [{ kty: "RSA", n: "AQAB", e: "" }] } }],
  ["a key set of no key that verifies", { jwks: { keys: [{ ...jwkOf(rsa.publicKey), use: "enc" }] } }],
  ["a key set over http from elsewhere", { jwks: "http://example.org/keys" }],
  ["a key set that is none", { jwks: {} }],
  ["rights that are none", { secret, anonymous: { "**": "connect" } }],
  ["an issuer that is empty", { secret, issuer: "" }],
  ["a tolerance of hours", { secret, clockToleranceMs: 3_600_000 }],
])("tokenPolicy throws for %s, without repeating a key", (_, options) => {
  const error = (() => {
    try {
      tokenPolicy(options as TokenPolicyOptions);
    } catch (reason) {
      return reason as Error;
    }
    return undefined;
  })();
  expect(error).toBeInstanceOf(Error);
  for (const key of [secret, rsa.privateKey, "c2hvcnQ"]) expect(error?.message).not.toContain(key);
  // The error says what to do, and not what went wrong inside.
  expect([TypeError, RangeError]).toContain(error?.constructor);
});
