import { mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterAll, expect, test, vi } from "vitest";
import { UsageError } from "../../../cli/command/command.js";
import { tokenCommand } from "../../../cli/token.js";
import { accessSecret } from "../../fakes/access-keys.js";

const folder = mkdtempSync(join(tmpdir(), "bss-"));
afterAll(() => rmSync(folder, { recursive: true }));

function file(name: string, text: string, mode = 0o600): string {
  const path = join(folder, name);
  writeFileSync(path, text, { mode });
  return path;
}

const key = file("key", accessSecret);

test.each<[string, string[]]>([
  ["a token that allows nothing", ["--key", key]],
  ["a pattern that is none", ["--key", key, "--listen", "a**"]],
  ["a time without a unit", ["--key", key, "--listen", "a", "--ttl", "600"]],
  ["a fact without a value", ["--key", key, "--listen", "a", "--meta", "team"]],
  ["an argument that is no option", ["--key", key, "--listen", "a", "room/42"]],
  ["no key", ["--listen", "a"]],
  ["a key that is too short", ["--key", file("short", "c2hvcnQ"), "--listen", "a"]],
  ["a key file that is not there", ["--key", join(folder, "none"), "--listen", "a"]],
  ["a key file that others can read", ["--key", file("open", accessSecret, 0o644), "--listen", "a"]],
])("bss token refuses %s, and neither prints nor repeats a key", async (_, args) => {
  const write = vi.spyOn(process.stdout, "write");
  const { signal } = new AbortController();
  const error: unknown = await tokenCommand.run(args, signal, signal).catch((reason: unknown) => reason);
  expect(write).not.toHaveBeenCalled();
  write.mockRestore();
  expect(error).toBeInstanceOf(UsageError);
  for (const text of [accessSecret, "c2hvcnQ"]) expect((error as Error).message).not.toContain(text);
});
