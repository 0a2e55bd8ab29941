import { Code } from "@connectrpc/connect";
import { describe, expect, test } from "vitest";
import { Failure } from "../../../../gen/streamserver/v1/failure_pb.js";
import { randomId, type TokenPurpose, TokenSigner } from "../../../../server/relay/token.js";
import { thrown } from "../../../fakes/outcome.js";

const key = new Uint8Array(32).fill(7);

function newSigner(signingKey = key, ...others: Uint8Array[]): TokenSigner {
  return new TokenSigner([signingKey, ...others]);
}

describe("TokenSigner.verify", () => {
  test("takes a token with the text that it carries, and neither without it nor with another", () => {
    const [mine, other] = [newSigner(), newSigner()];
    const token = mine.sign("lease", "id", "room", "carried");
    expect([other.verify("lease", "id", token, "room"), other.carriedBy(token)]).toEqual([
      "another process",
      "carried",
    ]);
    expect(other.carriedBy(mine.sign("lease", "id", "room"))).toBe("");
    const bare = token.replace(".carried", "");
    for (const changed of [bare, `${bare}.`, `${bare}.Carried`, `${token}.carried`]) {
      expect(thrown(() => mine.verify("lease", "id", changed, "room")).failure).toBe(Failure.TOKEN_INVALID);
    }
  });

  test("tells a token of this process from one of another process with the same key", () => {
    const [mine, other] = [newSigner(), newSigner()];
    const token = mine.sign("lease", "id", "room");
    expect(mine.verify("lease", "id", token, "room")).toBe("this process");
    expect(other.verify("lease", "id", token, "room")).toBe("another process");
  });
});

const [token, otherToken] = [newSigner(), newSigner()].map((signer) => signer.sign("listener leg", "id")) as [
  string,
  string,
];
const [issuer = "", mac = ""] = token.split(".");
const [otherIssuer = ""] = otherToken.split(".");

const forged: [string, TokenPurpose, string, string][] = [
  ["a token for another id", "listener leg", "other", token],
  ["a token for another purpose", "client leg", "id", token],
  ["a token that names another process", "listener leg", "id", `${otherIssuer}.${mac}`],
  ["a token that names no process", "listener leg", "id", `.${mac}`],
  ["a token whose signature was cut", "listener leg", "id", token.slice(0, -4)],
  ["a token with something behind it", "listener leg", "id", `${token}.x`],
  ["a token without a signature", "listener leg", "id", issuer],
  ["a token of another key", "listener leg", "id", newSigner(new Uint8Array(32)).sign("listener leg", "id")],
  ["a token for another name", "listener leg", "id", newSigner().sign("listener leg", "id", "room")],
  ["no token", "listener leg", "id", ""],
];

test.each(forged)("%s is refused", (_what, purpose, id, candidate) => {
  expect(thrown(() => newSigner().verify(purpose, id, candidate))).toMatchObject({
    failure: Failure.TOKEN_INVALID,
    code: Code.PermissionDenied,
  });
});

test("what is signed for one purpose and id is not valid for another that reads the same when joined", () => {
  const signer = newSigner();
  const joined = signer.sign("link", '1","x');
  expect(thrown(() => signer.verify("link", "1", joined)).failure).toBe(Failure.TOKEN_INVALID);
});

test("TokenSigner signs with its first key, and verifies tokens of all its keys", () => {
  const newKey = new Uint8Array(32).fill(8);
  const [before, during, after] = [newSigner(), newSigner(newKey, key), newSigner(newKey)];
  const [oldToken, newToken] = [before.sign("lease", "id"), during.sign("lease", "id")];
  during.verify("lease", "id", oldToken);
  during.verify("lease", "id", newToken);
  after.verify("lease", "id", newToken);
  expect(thrown(() => after.verify("lease", "id", oldToken)).failure).toBe(Failure.TOKEN_INVALID);
  expect(thrown(() => before.verify("lease", "id", newToken)).failure).toBe(Failure.TOKEN_INVALID);
});

test("every key of one's own is another", () => {
  const [a, b] = [new TokenSigner(), new TokenSigner()];
  expect(thrown(() => b.verify("lease", "id", a.sign("lease", "id"))).failure).toBe(Failure.TOKEN_INVALID);
});

test("ids have 128 bits, and are not the same twice", () => {
  const ids = Array.from({ length: 1_000 }, randomId);
  expect(new Set(ids).size).toBe(ids.length);
  for (const id of ids) expect(Buffer.from(id, "base64url")).toHaveLength(16);
});
