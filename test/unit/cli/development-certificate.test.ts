import { createPrivateKey, X509Certificate } from "node:crypto";
import { mkdtempSync, readFileSync, rmSync, statSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { describe, expect, onTestFinished, test } from "vitest";
import { UsageError } from "../../../cli/command/command.js";
import { openDevelopmentCertificate } from "../../../cli/serve/development-certificate.js";
import { makeCertificate } from "../../../cli/serve/self-signed-certificate.js";

const names = ["localhost", "relay.example", "127.0.0.1", "::1", "fd00:1:2::ffff"];

function temporaryFolder(): string {
  const folder = mkdtempSync(join(tmpdir(), "bss-"));
  onTestFinished(() => rmSync(folder, { recursive: true }));
  return folder;
}

async function certificateIn(folder: string, ...wanted: string[]) {
  const { files, certPath, isNew } = await openDevelopmentCertificate(wanted, folder);
  return { certificate: files.content.certificate, certPath, isNew };
}

describe("makeCertificate", () => {
  test("makes one that browsers take for its names and addresses, and for no other", async () => {
    const text = await makeCertificate(names);
    const certificate = new X509Certificate(text);
    expect(certificate.checkPrivateKey(createPrivateKey(text))).toBe(true);
    expect(certificate.verify(certificate.publicKey)).toBe(true);
    expect([certificate.checkHost("localhost"), certificate.checkHost("relay.example")]).not.toContain(undefined);
    for (const address of ["127.0.0.1", "::1", "fd00:1:2:0:0:0:0:ffff"]) {
      expect(certificate.checkIP(address)).toBeDefined();
    }
    expect([certificate.checkHost("other.example"), certificate.checkIP("::2")]).toEqual([undefined, undefined]);
    expect(certificate.ca).toBe(false);
    const days = (certificate.validToDate.getTime() - certificate.validFromDate.getTime()) / 86_400_000;
    expect(days).toBeLessThanOrEqual(398);
    expect(certificate.validFromDate.getTime()).toBeLessThan(Date.now());
  });

  test("makes each under a name of its own, because OpenSSL looks trusted ones up by name", async () => {
    const [one, other] = await Promise.all([makeCertificate(names), makeCertificate(names)]);
    expect(new X509Certificate(one).subject).not.toBe(new X509Certificate(other).subject);
  });
});

describe("openDevelopmentCertificate", () => {
  test("makes a certificate once, and keeps it where only its owner reads the key", async () => {
    const folder = join(temporaryFolder(), "of", "the-user");
    const first = await certificateIn(folder, ...names);
    const second = await certificateIn(folder, "localhost", "::1");
    expect([first.isNew, second.isNew]).toEqual([true, false]);
    expect(second.certificate.fingerprint256).toBe(first.certificate.fingerprint256);
    expect(statSync(join(folder, "development.pem")).mode & 0o077).toBe(0);
    const given = readFileSync(first.certPath, "utf8");
    expect(given).not.toContain("PRIVATE");
    expect(new X509Certificate(given).fingerprint256).toBe(first.certificate.fingerprint256);
  });

  test("makes another for a new name, and for the names before", async () => {
    const folder = temporaryFolder();
    await certificateIn(folder, "localhost", "10.0.0.1", "fd00::1");
    const { certificate, isNew } = await certificateIn(folder, "localhost", "10.0.0.2");
    expect([isNew, certificate.checkHost("localhost")]).toEqual([true, "localhost"]);
    expect(["10.0.0.1", "10.0.0.2", "fd00::1"].filter((address) => !certificate.checkIP(address))).toEqual([]);
  });

  test.each([
    ["one that ends within a month", () => makeCertificate(names, 29)],
    ["a file that is none", async () => "certificate"],
  ])("replaces %s", async (_, make) => {
    const folder = temporaryFolder();
    writeFileSync(join(folder, "development.pem"), await make());
    expect((await certificateIn(folder, "localhost")).isNew).toBe(true);
  });

  test("gives the certificate to others again that was lost or is another's", async () => {
    const folder = temporaryFolder();
    const { certPath, certificate } = await certificateIn(folder, "localhost");
    for (const spoil of [() => rmSync(certPath), () => writeFileSync(certPath, "other")]) {
      spoil();
      expect((await certificateIn(folder, "localhost")).isNew).toBe(false);
      expect(new X509Certificate(readFileSync(certPath)).fingerprint256).toBe(certificate.fingerprint256);
    }
  });

  test("rejects with advice where it cannot be kept", async () => {
    const file = join(temporaryFolder(), "file");
    writeFileSync(file, "");
    const opening = openDevelopmentCertificate(names, join(file, "folder"));
    await expect(opening).rejects.toThrow(expect.objectContaining({ advice: expect.stringContaining("--tls-cert") }));
    await expect(opening).rejects.toBeInstanceOf(UsageError);
  });
});
