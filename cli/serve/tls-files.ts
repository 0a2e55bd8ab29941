import { X509Certificate } from "node:crypto";
import { readFileSync, statSync } from "node:fs";
import { isIPv6 } from "node:net";
import { createSecureContext } from "node:tls";
import type { TlsOptions } from "../../server/index.js";
import { UsageError } from "../command/command.js";
import { compressedAddress } from "./self-signed-certificate.js";

/** A new certificate is in use this much later at most. Two looks at a file each second cost nothing that shows. */
const lookIntervalMs = 1_000;

interface Content {
  tls: TlsOptions;
  /** The certificate itself, without those that lead to it. */
  certificate: X509Certificate;
}

/** The functions that {@link TlsFiles.watch} tells of files that have changed. */
export interface TlsFilesWatcher {
  /** The files hold a certificate and its key. */
  onRead(content: Content): void;
  /** The files hold no certificate and its key, and what they held before stays in use. Told once for each change. */
  onRefused(reason: string): void;
}

/** A certificate and its key in files of PEM. Both may be in the same file. */
export class TlsFiles {
  readonly certPath: string;
  readonly #keyPath: string;
  /** The state of the files when they were read last. */
  #seen: string;
  #content: Content;

  /** Reads the files. Throws a `UsageError` for files that cannot be read, and for those that hold something else. */
  constructor(certPath: string, keyPath: string) {
    this.certPath = certPath;
    this.#keyPath = keyPath;
    this.#seen = this.#look();
    this.#content = this.#read();
  }

  get content(): Content {
    return this.#content;
  }

  /**
   * Reads the files again when they change. Each look follows symbolic links, so that a link to another file is a
   * change too. Returns a function that ends this.
   */
  watch({ onRead, onRefused }: TlsFilesWatcher): () => void {
    const look = () => {
      const seen = this.#look();
      if (seen === this.#seen) return;
      this.#seen = seen;
      try {
        this.#content = this.#read();
      } catch (reason) {
        // The certificate may be there already, and its key not yet.
        return onRefused((reason as Error).message);
      }
      onRead(this.#content);
    };
    const interval = setInterval(look, lookIntervalMs);
    return () => clearInterval(interval);
  }

  #look(): string {
    return [this.certPath, this.#keyPath].map(stateOf).join(" ");
  }

  #read(): Content {
    const tls = { cert: readFile(this.certPath, "certificate"), key: readFile(this.#keyPath, "key") };
    try {
      createSecureContext(tls);
      return { tls, certificate: new X509Certificate(tls.cert) };
    } catch (reason) {
      throw new UsageError(
        `${this.certPath} and ${this.#keyPath} are no certificate and its key in PEM: ${(reason as Error).message}`,
      );
    }
  }
}

/** Returns the names and addresses that a certificate is for. */
export function namesOf({ subjectAltName = "" }: X509Certificate): string[] {
  const parts = subjectAltName.split(", ").map((part) => part.replace(/^(DNS|IP Address):/, ""));
  return parts.filter((part) => part !== "").map((part) => (isIPv6(part) ? compressedAddress(part) : part));
}

function stateOf(path: string): string {
  try {
    const { ino, size, mtimeMs } = statSync(path);
    return `${ino} ${size} ${mtimeMs}`;
  } catch (reason) {
    return (reason as NodeJS.ErrnoException).code ?? "";
  }
}

function readFile(path: string, what: string): Buffer {
  try {
    return readFileSync(path);
  } catch (reason) {
    throw new UsageError(`the ${what} cannot be read: ${(reason as Error).message}`);
  }
}
