import { readFileSync } from "node:fs";
import { getCACertificates, setDefaultCACertificates } from "node:tls";
import { afterAll, beforeAll } from "vitest";
import { tlsFile } from "./documented.js";

/** Has this file's connections, the WebSockets too, take the self-signed certificate. */
export function trustTestCertificate(): void {
  const before = getCACertificates("default");
  beforeAll(() => setDefaultCACertificates([...before, readFileSync(tlsFile("cert"), "utf8")]));
  afterAll(() => setDefaultCACertificates(before));
}
