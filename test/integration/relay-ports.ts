import { execFileSync } from "node:child_process";
import { mkdtempSync, readFileSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import {
  type RelayServer,
  StreamServerProxy,
  type StreamServerProxyOptions,
  serveRelay,
} from "browser-stream-server/server";

/** A relay in this process, on a port that was free. */
export interface TestRelay {
  proxy: StreamServerProxy;
  /** With "https:" if it speaks TLS. */
  origin: string;
  /** Where the RPCs are. */
  url: string;
  close(): Promise<void>;
}

export async function openRelay(
  options: StreamServerProxyOptions & { tls?: { cert: string; key: string } } = {},
): Promise<TestRelay> {
  const { tls, ...proxyOptions } = options;
  const proxy = StreamServerProxy(proxyOptions);
  const server: RelayServer = await serveRelay({ proxy, port: 0, host: "127.0.0.1", tls });
  const origin = `${tls === undefined ? "http" : "https"}://127.0.0.1:${server.port}`;
  return { proxy, origin, url: origin + proxy.prefix, close: () => server.close() };
}

/** A key and a certificate that nobody trusts, for 127.0.0.1. */
export function selfSigned(): { cert: string; key: string } {
  const folder = mkdtempSync(join(tmpdir(), "relay-tls-"));
  try {
    const [cert, key] = [join(folder, "cert.pem"), join(folder, "key.pem")];
    const subject = ["-subj", "/CN=127.0.0.1", "-addext", "subjectAltName=IP:127.0.0.1"];
    const generate = ["-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:prime256v1", "-nodes", "-x509", "-days", "1"];
    execFileSync("openssl", ["req", ...generate, ...subject, "-keyout", key, "-out", cert], { stdio: "pipe" });
    return { cert: readFileSync(cert, "utf8"), key: readFileSync(key, "utf8") };
  } finally {
    rmSync(folder, { recursive: true });
  }
}

/** Resolves when the relay holds nothing any more, or nothing but links, which wait a while for their next channel. */
export async function holdsNothing({ proxy }: TestRelay, but?: "links"): Promise<void> {
  const isEmpty = () => Object.entries(proxy.counts).every(([kind, count]) => count === 0 || kind === but);
  for (let turns = 0; !isEmpty(); turns += 1) {
    if (turns === 4_000) throw new Error(`the relay still holds ${JSON.stringify(proxy.counts)}`);
    await new Promise((resolve) => setTimeout(resolve, 1));
  }
}
