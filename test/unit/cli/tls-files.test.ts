import { mkdtempSync, renameSync, rmSync, symlinkSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterEach, beforeAll, beforeEach, describe, expect, test, vi } from "vitest";
import { UsageError } from "../../../cli/command/command.js";
import { makeCertificate } from "../../../cli/serve/self-signed-certificate.js";
import { TlsFiles } from "../../../cli/serve/tls-files.js";

let folder: string;
/** Two certificates, each with its key. */
let first: { cert: string; key: string };
let second: { cert: string; key: string };
let told: string[];
let files: TlsFiles;
let stop: () => void;

async function make() {
  const [, cert = "", key = ""] =
    /^(.*?CERTIFICATE-----\n)(-----BEGIN PRIVATE.*)$/s.exec(await makeCertificate(["localhost"])) ?? [];
  return { cert, key };
}

const path = (name: string) => join(folder, name);
const write = (name: string, text: string) => writeFileSync(path(name), text);
const look = () => vi.advanceTimersByTime(1_000);

beforeAll(async () => {
  [first, second] = await Promise.all([make(), make()]);
});

beforeEach(() => {
  vi.useFakeTimers({ toFake: ["setInterval", "clearInterval"] });
  folder = mkdtempSync(join(tmpdir(), "bss-"));
  write("cert", first.cert);
  write("key", first.key);
  files = new TlsFiles(path("cert"), path("key"));
  told = [];
  stop = files.watch({
    onRead: ({ tls }) => told.push(String(tls.cert)),
    onRefused: () => told.push("refused"),
  });
});

afterEach(() => {
  stop();
  vi.useRealTimers();
  rmSync(folder, { recursive: true });
});

describe("TlsFiles", () => {
  test("are read again when both have changed, one after the other", () => {
    look();
    expect(told).toEqual([]);
    write("cert", second.cert);
    look();
    look();
    expect([told, String(files.content.tls.cert)]).toEqual([["refused"], first.cert]);
    write("key", second.key);
    look();
    look();
    expect([told, String(files.content.tls.key)]).toEqual([["refused", second.cert], second.key]);
  });

  test("are kept while they are away, or hold something else", () => {
    renameSync(path("cert"), path("away"));
    look();
    write("cert", "no certificate");
    look();
    expect(String(files.content.tls.cert)).toBe(first.cert);
    renameSync(path("away"), path("cert"));
    look();
    expect(told).toEqual(["refused", "refused", first.cert]);
  });

  test("are followed where a symbolic link leads", () => {
    for (const [name, { cert, key }] of Object.entries({ first, second })) {
      write(`${name}.cert`, cert);
      write(`${name}.key`, key);
    }
    for (const kind of ["cert", "key"]) {
      symlinkSync(path(`second.${kind}`), path("link"));
      renameSync(path("link"), path(kind));
    }
    look();
    expect(told).toEqual([second.cert]);
  });

  test("are left alone when the watch has ended", () => {
    stop();
    write("cert", second.cert);
    look();
    expect(told).toEqual([]);
  });

  test("that hold no certificate, or not its key, are a mistake", () => {
    expect(() => new TlsFiles(path("none"), path("key"))).toThrow(UsageError);
    write("key", second.key);
    expect(() => new TlsFiles(path("cert"), path("key"))).toThrow(UsageError);
  });
});
