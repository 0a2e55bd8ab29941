import { Code } from "@connectrpc/connect";
import { expect, test } from "vitest";
import { Failure } from "../../../../gen/streamserver/v1/failure_pb.js";
import { randomId, type TokenPurpose, TokenSigner } from "../../../../server/relay/token.js";
import { thrown } from "../../../fakes/outcome.js";
import { FakeEpoch } from "../../../fakes/relays.js";

const key = new Uint8Array(32).fill(7);

function signerAt(epoch = new FakeEpoch(), signingKey = key, ...others: Uint8Array[]): TokenSigner {
  return new TokenSigner([signingKey, ...others], () => epoch.nowMs);
}

test("a token proves what it was signed for, to every signer with the same key", () => {
  const token = signerAt().sign("lease", "id", 1_000);
  expect(() => signerAt().verify("lease", "id", token)).not.toThrow();
});

test("a token expires", () => {
  const epoch = new FakeEpoch();
  const signer = signerAt(epoch);
  const token = signer.sign("lease", "id", 1_000);
  epoch.nowMs += 999;
  signer.verify("lease", "id", token);
  epoch.nowMs += 1;
  expect(thrown(() => signer.verify("lease", "id", token))).toMatchObject({
    failure: Failure.TOKEN_EXPIRED,
    code: Code.PermissionDenied,
  });
});

const token = signerAt().sign("listener leg", "id", 1_000);
const [expiry = "", mac = ""] = token.split(".");
const later = (Number.parseInt(expiry, 36) + 1_000_000).toString(36);

const forged: [string, TokenPurpose, string, string][] = [
  ["a token for another id", "listener leg", "other", token],
  ["a token for another purpose", "client leg", "id", token],
  ["a token with a later expiry", "listener leg", "id", `${later}.${mac}`],
  ["a token whose signature was cut", "listener leg", "id", token.slice(0, -4)],
  ["a token with something behind it", "listener leg", "id", `${token}.x`],
  ["a token without a signature", "listener leg", "id", expiry],
  [
    "a token of another key",
    "listener leg",
    "id",
    signerAt(undefined, new Uint8Array(32)).sign("listener leg", "id", 1),
  ],
  ["no token", "listener leg", "id", ""],
];

test.each(forged)("%s is refused", (_what, purpose, id, candidate) => {
  expect(thrown(() => signerAt().verify(purpose, id, candidate))).toMatchObject({
    failure: Failure.TOKEN_INVALID,
    code: Code.PermissionDenied,
  });
});

test("what is signed for one purpose and id is not valid for another that reads the same when joined", () => {
  const signer = signerAt();
  const joined = signer.sign("link", '1","x', 1_000);
  expect(thrown(() => signer.verify("link", "1", joined)).failure).toBe(Failure.TOKEN_INVALID);
});

test("TokenSigner signs with its first key, and verifies tokens of all its keys", () => {
  const newKey = new Uint8Array(32).fill(8);
  const [before, during, after] = [signerAt(), signerAt(undefined, newKey, key), signerAt(undefined, newKey)];
  const [oldToken, newToken] = [before.sign("lease", "id", 1_000), during.sign("lease", "id", 1_000)];
  during.verify("lease", "id", oldToken);
  during.verify("lease", "id", newToken);
  after.verify("lease", "id", newToken);
  expect(thrown(() => after.verify("lease", "id", oldToken)).failure).toBe(Failure.TOKEN_INVALID);
  expect(thrown(() => before.verify("lease", "id", newToken)).failure).toBe(Failure.TOKEN_INVALID);
});

test("every key of one's own is another", () => {
  const [a, b] = [new TokenSigner(), new TokenSigner()];
  expect(thrown(() => b.verify("lease", "id", a.sign("lease", "id", 1_000))).failure).toBe(Failure.TOKEN_INVALID);
});

test("ids have 128 bits, and are not the same twice", () => {
  const ids = Array.from({ length: 1_000 }, randomId);
  expect(new Set(ids).size).toBe(ids.length);
  for (const id of ids) expect(Buffer.from(id, "base64url")).toHaveLength(16);
});
