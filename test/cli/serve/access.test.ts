import { generateKeyPairSync } from "node:crypto";
import { mkdtempSync, readFileSync, rmSync, statSync, writeFileSync } from "node:fs";
import { createServer } from "node:http";
import type { AddressInfo } from "node:net";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { createInterface } from "node:readline";
import { mintToken } from "browser-stream-server/server";
import { beforeEach, describe, expect, onTestFinished, test } from "vitest";
import { pemPair } from "../../fakes/access-keys.js";
import { CommandLine } from "../command-line.js";

/**
 * The exit codes of a command that the relay does not permit, of one for a name on which nobody listens, and of one
 * with options that cannot be.
 */
const [notPermitted, noSuchName, usage] = [9, 3, 2];

let folder: string;
beforeEach(() => {
  folder = mkdtempSync(join(tmpdir(), "bss-"));
  onTestFinished(() => rmSync(folder, { recursive: true }));
});

const path = (name: string) => join(folder, name);
function file(name: string, text: string): string {
  writeFileSync(path(name), text, { mode: 0o600 });
  return path(name);
}

/** A relay as `bss serve` runs it, which logs for programs, and what it has logged. */
async function serve(args: string[], environment: Record<string, string> = {}) {
  const relay = new CommandLine(["serve", "--port", "0", "--json", ...args], environment);
  const lines: string[] = [];
  const reader = createInterface({ input: relay.child.stdout });
  const address = new Promise<string>((resolve) => {
    reader.on("line", (line) => {
      lines.push(line);
      const { event, addresses } = JSON.parse(line);
      if (event === "listening") resolve(addresses[0]);
    });
  });
  const { origin } = new URL(await address);
  const bss = (command: string, ...rest: string[]) => new CommandLine([command, ...rest, "--relay", origin]);
  return { bss, lines };
}

const minted = async (...args: string[]) => (await new CommandLine(["token", ...args]).run()).output.trim();

describe("bss serve --secret-file", () => {
  test("makes the secret, and lets in who has a token of it, by option, file and environment", async () => {
    const secret = path("secret");
    const { bss, lines } = await serve(["--secret-file", secret]);
    expect(statSync(secret).mode & 0o777).toBe(0o600);
    const [listening, connecting] = await Promise.all([
      minted("--key", secret, "--listen", "room/42"),
      minted("--key", secret, "--connect", "room/*", "--list", "**", "--ttl", "10m"),
    ]);
    const listener = bss("listen", "room/42", "--listed", "--token", listening);
    await listener.hasSaid();
    const [listed, refusedList] = await Promise.all([
      bss("ls", "--token", connecting).run(),
      bss("ls", "--token", listening).run(),
    ]);
    expect([listed.output, listed.code, refusedList.output, refusedList.code]).toEqual([
      "room/42\n",
      0,
      "",
      notPermitted,
    ]);
    const refused = await Promise.all([
      bss("connect", "room/42").run(),
      bss("connect", "room/42", "--token", listening).run(),
      bss("listen", "room/43", "--token", listening).run(),
    ]);
    expect(refused.map(({ code }) => code)).toEqual([notPermitted, notPermitted, notPermitted]);
    const client = bss("connect", "room/42", "--token-file", file("token", `${connecting}\n`));
    client.child.stdin.end("hello");
    listener.child.stdin.end("welcome");
    const [heard, answered] = await Promise.all([listener.output(), client.output()]);
    expect([heard.toString(), answered.toString()]).toEqual(["hello", "welcome"]);
    const said = [...lines, ...refused.flatMap(({ errorLines }) => errorLines), ...listener.errorLines].join("\n");
    // Not even a part of a token: its head is the same in all of them.
    for (const each of [listening, connecting]) {
      for (const part of each.split(".").slice(1)) expect(said).not.toContain(part);
    }
    expect(said).not.toContain(readFileSync(secret, "utf8").split("\n")[1]);
  });
});

test.each<[string, string, () => string]>([
  ["a public key as the secret", "--secret-file", () => pemPair("P-256").publicKey],
  ["an RSA key of 1,024 bits", "--public-key", () => pemPair("rsa", 1_024).publicKey],
  ["a shared secret in a key set", "--jwks", () => JSON.stringify({ keys: [{ kty: "oct", k: "c2VjcmV0" }] })],
])("bss serve does not start with %s, and says so without repeating it", async (_, option, text) => {
  const key = text();
  const { code, errorLines } = await new CommandLine(["serve", "--port", "0", option, file("key", key)]).run();
  expect([code, errorLines.length > 0]).toEqual([usage, true]);
  const lines = key.split("\n").filter((line) => line !== "" && !line.startsWith("-----"));
  for (const line of lines) expect(errorLines.join("\n")).not.toContain(line);
});

test("bss serve --public-key, --issuer and --audience let in who has a token of the key, on any address without --open", async () => {
  const { publicKey, privateKey } = pemPair("P-256");
  const environment = { BSS_PUBLIC_KEY: file("public.pem", publicKey), BSS_ISSUER: "us", BSS_AUDIENCE: "relay" };
  const { bss } = await serve(["--host", "0.0.0.0"], environment);
  const key = file("private.pem", privateKey);
  const [good, forOthers] = await Promise.all([
    minted("--key", key, "--connect", "**", "--issuer", "us", "--audience", "relay"),
    minted("--key", key, "--connect", "**", "--issuer", "us", "--audience", "other"),
  ]);
  // A token that is good leads to the name, where nobody listens.
  const codes = await Promise.all(
    [good, forOthers].map(async (token) => (await bss("connect", "a", "--token", token).run()).code),
  );
  expect(codes).toEqual([noSuchName, notPermitted]);
});

test("bss serve --jwks lets in who has a token of a key in the set", async () => {
  const { publicKey, privateKey } = generateKeyPairSync("ed25519");
  const keySet = JSON.stringify({ keys: [{ ...publicKey.export({ format: "jwk" }), kid: "one" }] });
  const server = createServer((_, response) => void response.setHeader("connection", "close").end(keySet));
  await new Promise<void>((resolve) => server.listen(0, "127.0.0.1", resolve));
  onTestFinished(() => void server.close());
  const pem = privateKey.export({ type: "pkcs8", format: "pem" }).toString();
  const token = await mintToken({ privateKey: pem, keyId: "one", streams: { "**": ["connect"] } });
  const { bss } = await serve(["--jwks", `http://127.0.0.1:${(server.address() as AddressInfo).port}/`]);
  // A token that is good leads to the name, where nobody listens.
  expect((await bss("connect", "a", "--token", token).run()).code).toBe(noSuchName);
});
