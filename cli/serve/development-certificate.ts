import { randomBytes, X509Certificate } from "node:crypto";
import { mkdirSync, readFileSync, renameSync, writeFileSync } from "node:fs";
import { isIP } from "node:net";
import { homedir } from "node:os";
import { join } from "node:path";
import { UsageError } from "../command/command.js";
import { makeCertificate } from "./self-signed-certificate.js";
import { namesOf, TlsFiles } from "./tls-files.js";

/** A certificate that ends sooner is replaced at a start, so that a relay may run for a month before the next. */
const renewDays = 30;
/** Names of former networks are kept in a new certificate, the most recent ones. */
const maxNames = 100;

/** The certificate of a port. */
export interface ServedCertificate {
  /** The certificate and its key. */
  files: TlsFiles;
  /** The file with the certificate, for the programs that are to trust it. */
  certPath: string;
  /** Whether it was made just now. */
  isNew: boolean;
}

/**
 * Returns a certificate of a relay's own for names and addresses. It is kept in a folder of the user's and used again
 * as long as it names them all and is valid for a month. Rejects with a `UsageError` if it cannot be kept.
 */
export async function openDevelopmentCertificate(
  names: readonly string[],
  folder = defaultFolder(),
): Promise<ServedCertificate> {
  const path = join(folder, "development.pem");
  const certPath = join(folder, "development-cert.pem");
  const kept = readKept(path);
  const isNew = kept === undefined || !isUsable(kept, names);
  try {
    if (isNew) {
      mkdirSync(folder, { recursive: true, mode: 0o700 });
      const former = kept === undefined ? [] : namesOf(kept);
      replaceFile(path, await makeCertificate([...new Set([...names, ...former])].slice(0, maxNames)), 0o600);
    }
    const files = new TlsFiles(path, path);
    const { certificate } = files.content;
    if (isNew || readKept(certPath)?.fingerprint256 !== certificate.fingerprint256) {
      replaceFile(certPath, certificate.toString(), 0o644);
    }
    return { files, certPath, isNew };
  } catch (reason) {
    throw new UsageError(
      `the certificate for --tls cannot be kept: ${(reason as Error).message}`,
      "--tls-cert and --tls-key take a certificate of yours; XDG_DATA_HOME names another folder for the relay's own",
    );
  }
}

function defaultFolder(): string {
  const { XDG_DATA_HOME, LOCALAPPDATA } = process.env;
  return join(XDG_DATA_HOME || LOCALAPPDATA || join(homedir(), ".local/share"), "browser-stream-server");
}

function readKept(path: string): X509Certificate | undefined {
  try {
    return new X509Certificate(readFileSync(path));
  } catch {
    return undefined;
  }
}

function isUsable(certificate: X509Certificate, names: readonly string[]): boolean {
  const isNamed = (name: string) => (isIP(name) === 0 ? certificate.checkHost(name) : certificate.checkIP(name));
  const endMs = certificate.validToDate.getTime();
  return endMs > Date.now() + renewDays * 86_400_000 && names.every((name) => isNamed(name) !== undefined);
}

/** Replaces a file whole or not at all, so that another relay that starts at this moment reads one or the other. */
function replaceFile(path: string, text: string, mode: number): void {
  const draft = `${path}.${randomBytes(8).toString("hex")}`;
  writeFileSync(draft, text, { mode, flag: "wx", flush: true });
  renameSync(draft, path);
}
