import { createPublicKey } from "node:crypto";
import { mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterAll, expect, test } from "vitest";
import { UsageError } from "../../../cli/command/command.js";
import { accessTokenFrom } from "../../../cli/command/relay-access.js";
import { type PolicySettings, readPolicy } from "../../../cli/serve/serve-policy.js";
import { mintToken } from "../../../server/index.js";
import { accessSecret, authorizeRequest, pemPair } from "../../fakes/access-keys.js";

const folder = mkdtempSync(join(tmpdir(), "bss-"));
afterAll(() => rmSync(folder, { recursive: true }));

function file(name: string, text: string): string {
  const path = join(folder, name);
  writeFileSync(path, text, { mode: 0o600 });
  return path;
}

const secretFile = file("secret", accessSecret);
const { publicKey, privateKey } = pemPair("ed25519");

test("readPolicy returns none for settings that name no key", () => {
  expect(readPolicy({})).toBeUndefined();
});

test("readPolicy lets in tokens of a key set in a file", async () => {
  const keys = { keys: [{ ...createPublicKey(publicKey).export({ format: "jwk" }), kid: "one" }] };
  const policy = readPolicy({ jwks: file("keys", JSON.stringify(keys)) });
  const token = await mintToken({ privateKey, keyId: "one", subject: "ann", streams: { "**": ["connect"] } });
  expect(await policy?.authorize(authorizeRequest(token))).toMatchObject({ subject: "ann" });
});

test.each<[string, PolicySettings]>([
  ["two kinds of keys", { secretFile, publicKey: file("public", publicKey) }],
  ["an issuer without a key", { issuer: "us" }],
  ["a switch without a key", { expiredTokensCut: true }],
  ["an issuer that is empty", { secretFile, issuer: "" }],
  ["a private key", { publicKey: file("private", privateKey) }],
  ["a public key that is not there", { publicKey: join(folder, "none") }],
  ["a key set that is no JSON", { jwks: file("text", "keys") }],
  ["a key set over http from elsewhere", { jwks: "http://example.org/keys" }],
])("readPolicy refuses %s", (_, settings) => {
  expect(() => readPolicy(settings)).toThrow(UsageError);
});

test("accessTokenFrom takes the command line before the environment, and reads a file anew each time", () => {
  const path = file("token", " one\n");
  const environment = { BSS_TOKEN: "two" };
  expect(accessTokenFrom({}, {})).toBeUndefined();
  expect(accessTokenFrom({}, environment)).toBe("two");
  expect(accessTokenFrom({ token: "three" }, environment)).toBe("three");
  const token = accessTokenFrom({ "token-file": path }, environment) as () => string;
  expect(token()).toBe("one");
  writeFileSync(path, "four");
  expect(token()).toBe("four");
});

test.each<[string, Parameters<typeof accessTokenFrom>]>([
  ["two tokens", [{ token: "one", "token-file": secretFile }, {}]],
  ["two tokens in the environment", [{}, { BSS_TOKEN: "one", BSS_TOKEN_FILE: secretFile }]],
  ["a file that is not there", [{ "token-file": join(folder, "none") }, {}]],
  ["an empty file", [{ "token-file": file("empty", "\n") }, {}]],
  ["a token with a line break, which is not repeated", [{ token: "top\nsecret" }, {}]],
])("accessTokenFrom refuses %s", (_, args) => {
  expect(() => accessTokenFrom(...args)).toThrow(UsageError);
  expect(() => accessTokenFrom(...args)).not.toThrow(/top/);
});
