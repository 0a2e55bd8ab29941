import { mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { tokenPolicy } from "browser-stream-server/server";
import { decodeJwt } from "jose";
import { beforeEach, describe, expect, onTestFinished, test } from "vitest";
import { accessSecret, authorizeRequest, pemPair } from "../../fakes/access-keys.js";
import { CommandLine } from "../command-line.js";

let folder: string;
beforeEach(() => {
  folder = mkdtempSync(join(tmpdir(), "bss-"));
  onTestFinished(() => rmSync(folder, { recursive: true }));
});

function file(text: string): string {
  const path = join(folder, "key");
  writeFileSync(path, text, { mode: 0o600 });
  return path;
}

const token = (...args: string[]) => new CommandLine(["token", ...args]).run();

describe("bss token", () => {
  test("prints a token of the secret, with each option in it", async () => {
    const key = file(`# the first signs\n${accessSecret}\n${"A".repeat(43)}\n`);
    const rights = ["--listen", "user/{sub}/**", "--connect", "room/*", "--list", "room/*"];
    const facts = ["--sub", "ann", "--name", "Ann", "--meta", "team=blue=green", "--id", "t1", "--cut"];
    const issued = ["--ttl", "10m", "--issuer", "us", "--audience", "relay"];
    const { code, output } = await token("--key", key, ...rights, ...facts, ...issued);
    expect(code).toBe(0);
    const claims = decodeJwt(output.trim());
    expect(claims).toMatchObject({ sub: "ann", name: "Ann", jti: "t1", cut: true, iss: "us", aud: "relay" });
    expect(claims.meta).toEqual({ team: "blue=green" });
    expect(claims.streams).toEqual({ "user/{sub}/**": ["listen"], "room/*": ["connect", "list"] });
    expect(Number(claims.exp) - Number(claims.iat)).toBe(600);
    const policy = tokenPolicy({ secret: accessSecret, issuer: "us", audience: "relay" });
    expect(await policy(authorizeRequest(output.trim()))).toMatchObject({ subject: "ann" });
  });

  test("prints a token of a private key in PEM, of an hour", async () => {
    const { publicKey, privateKey } = pemPair("ed25519");
    const { output } = await token("--key", file(privateKey), "--connect", "room/42");
    const { exp, iat } = decodeJwt(output.trim());
    expect(Number(exp) - Number(iat)).toBe(3_600);
    await tokenPolicy({ publicKey })(authorizeRequest(output.trim()));
  });
});
