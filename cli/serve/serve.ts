import type { X509Certificate } from "node:crypto";
import { existsSync } from "node:fs";
import { isIP } from "node:net";
import { fileURLToPath } from "node:url";
import { renderUnicodeCompact } from "uqr";
import { checkOrigins } from "../../server/http/page/cors.js";
import {
  logRelay,
  type RelayServer,
  type RelayServerOptions,
  StreamServerProxy,
  serveMetrics,
  type TlsOptions,
  traceRelay,
} from "../../server/index.js";
import { serveRelayWhere } from "../../server/relay-server.js";
import { type Command, UsageError } from "../command/command.js";
import { whenAborted } from "../command/interruption.js";
import { portError } from "../command/port-error.js";
import { print } from "../terminal/output.js";
import { openDevelopmentCertificate, type ServedCertificate } from "./development-certificate.js";
import { allInterfaces, checkReach, isLoopback } from "./exposure.js";
import { authorityOf } from "./listen-address.js";
import { LogOutput } from "./log-output.js";
import { machineNames, networkAddresses } from "./machine-names.js";
import { servePageFolder } from "./page-folder.js";
import { createRelayLog, logNames, logTo, logWarnings, type RelayEvent } from "./relay-log.js";
import { readServeOptions, type ServeOptions } from "./serve-options.js";
import type { TlsFiles } from "./tls-files.js";

const help = `Usage: bss serve [options]

Runs a relay, with a page to try it, until Ctrl-C. \`npm start -- [options]\` does the same.

  --port N         the port, 0 for any that is free (default 8080)
  --host ADDRESS   the interface (default this machine alone, or all with --open)
  --open           lets everybody in who reaches the relay; without it or a policy, no other machine does
  --host-name NAME a name by which pages reach the relay, "*" for any; may be repeated (default the names and
                   addresses of this machine and of the certificate): pages that come by another name are refused, as
                   those of DNS rebinding are
  --prefix PATH    the path of the relay (default /browser-server); gRPC, which knows no paths, finds it without
  --origin ORIGIN  lets pages of another origin in, "*" for all; may be repeated
  --trusted-proxy ADDRESS
                   believes the proxy at this address, or in this subnet, whom it forwards; may be repeated
  --tls            speaks TLS, with a certificate that the relay makes for this machine's names, and keeps for this user
  --tls-cert FILE  speaks TLS, with this certificate and those that lead to it, in PEM
  --tls-key FILE   the certificate's key, in PEM; both files are read again when they change
  --key-file FILE  signs the relay's own tokens, by which streams and names come back after a restart, with the keys in
                   this file, one a line; made with a new key if it is not there
  --secret-file FILE
                   lets in who has an access token of a secret in this file, one a line, as \`bss token\` makes them;
                   made with a new secret if it is not there
  --public-key FILE
                   lets in who has an access token of this key, in PEM
  --jwks URL       lets in who has an access token of a key in this JSON Web Key Set, at an address or in a file
  --issuer TEXT    lets in only access tokens of this issuer
  --audience TEXT  lets in only access tokens for this audience
  --expired-tokens-cut
                   ends what an access token has opened when it expires
  --admin          lets operators see all that the relay holds, and end it: those whose access token says so, as one
                   of \`bss token --admin\` does
  --gateway path|host
                   brings requests of HTTP to the listeners of names: those for /~/NAME/, or for the host NAME below
                   each name of the relay
  --gateway-interstitial
                   shows a browser a page before its first visit to a name, which says where it goes
  --page FOLDER    serves the files of a folder in place of the page to try it
  --drain-timeout-ms N
                   on SIGTERM or Ctrl-C, streams get so long to end (default 10000); a second signal ends them
  --metrics ADDRESS
                   serves metrics for Prometheus at HOST:PORT, or at a PORT of this machine, under /metrics
  --trace          makes a span for each stream, with the OpenTelemetry that NODE_OPTIONS=--import has loaded
  --json           logs one JSON object a line, for all that the relay does
  --config FILE    takes from a JSON file what neither stands here nor in the environment
  --help           this text

In the environment: BSS_PORT, BSS_HOST, BSS_OPEN, BSS_HOST_NAME, BSS_ORIGIN and BSS_TRUSTED_PROXY (each separated by
commas), BSS_PREFIX, BSS_TLS, BSS_TLS_CERT, BSS_TLS_KEY, BSS_KEY_FILE, BSS_SECRET_FILE, BSS_PUBLIC_KEY, BSS_JWKS,
BSS_ISSUER, BSS_AUDIENCE, BSS_EXPIRED_TOKENS_CUT, BSS_ADMIN, BSS_GATEWAY, BSS_GATEWAY_INTERSTITIAL, BSS_PAGE,
BSS_DRAIN_TIMEOUT_MS, BSS_METRICS, BSS_TRACE, BSS_JSON, BSS_CONFIG. In the file: port, host, open, hostName (a list),
prefix, origin (a list), trustedProxy (a list), tls, tlsCert, tlsKey, keyFile, secretFile, publicKey, jwks, issuer,
audience, expiredTokensCut, admin, gateway, gatewayInterstitial, page, drainTimeoutMs, metrics, trace, json, and limits,
an object with any of the limits that the README names.

The first key or secret in a file signs, and all of them verify: to rotate, put a new line in front and start again.

A socket that systemd passes (LISTEN_FDS) takes the place of --host and --port.

/healthz says that the relay is alive; /readyz whether it takes new names and streams: 200, or 503 when it leaves.
`;

/** `bss serve` */
export const serveCommand: Command = {
  name: "serve",
  summary: "runs a relay, with a page to try it",
  help,
  async run(args, signal, again) {
    const options = readServeOptions(args, process.env);
    const proxy = createProxy(options);
    const log = await openLog(proxy, options);
    if (options.trace) await traceRelay(proxy);
    const { keyFile, policy } = options;
    const certificate = await openCertificate(options);
    const server = await openServer(options, proxy, certificate?.files.content.tls);
    const metrics = await openMetrics(proxy, options).catch(async (cause: unknown) => {
      await server.close();
      throw cause;
    });
    const addresses = addressesOf(options, server);
    log({ event: "listening", addresses, prefix: options.prefix });
    const [address = ""] = addresses;
    if (options.gateway !== undefined) log({ event: "gateway.listening", address: gatewayAddress(address, options) });
    if (metrics !== undefined) log({ event: "metrics.listening", address: metrics.address });
    // A path that is mistyped makes a key as well, and all tokens of before are worth nothing.
    if (keyFile?.isNew) log({ event: "key.created", file: keyFile.path });
    if (policy?.secretFile?.isNew) log({ event: "secret.created", file: policy.secretFile.path });
    if (certificate?.isNew) log({ event: "certificate.created", file: certificate.certPath });
    const stopWatching = certificate === undefined ? () => {} : followCertificate(certificate.files, server, log);
    // The code is for a telephone, which reaches no address of this machine alone.
    const reached = addresses.find((address) => !isLoopback(new URL(address).hostname));
    if (process.stdout.isTTY && !options.json && reached !== undefined) {
      await print(`${renderUnicodeCompact(reached, { border: 2 })}\n`);
    }
    await new Promise<void>((resolve) => whenAborted(signal, resolve));
    stopWatching();
    const { drainTimeoutMs: timeoutMs } = options;
    const { streams, offers } = proxy.counts;
    if (streams + offers > 0 && timeoutMs > 0) log({ event: "draining", streams: streams + offers, timeoutMs });
    whenAborted(again, () => void server.close());
    await server.drain({ timeoutMs });
    await metrics?.close();
    log({ event: "stopped", reason: (signal.reason as Error).message });
  },
};

/** Serves metrics at the address in the options, if there is one. */
async function openMetrics(proxy: StreamServerProxy, { metrics }: ServeOptions) {
  if (metrics === undefined) return undefined;
  const server = await serveMetrics({ proxy, ...metrics }).catch((cause: unknown) => {
    throw portError(cause, metrics, { host: "--metrics", port: "--metrics" });
  });
  const address = `http://${authorityOf({ ...metrics, port: server.port })}/metrics`;
  return { address, close: () => server.close() };
}

/** Logs what the relay does: all of it for a program, and for a person the names that come and go. */
async function openLog(proxy: StreamServerProxy, { json }: ServeOptions): Promise<(event: RelayEvent) => void> {
  const output = new LogOutput({ onDropped: (lines) => log({ event: "log.dropped", lines }) });
  const write = (line: string) => output.write(line);
  const logger = json ? (await import("./json-logger.js")).createJsonLogger(write) : undefined;
  const log = logger === undefined ? createRelayLog(write) : logTo(logger);
  if (logger === undefined) logNames(proxy, log);
  else logRelay(proxy, logger);
  logWarnings(proxy, log);
  return log;
}

function createProxy({
  prefix,
  origins,
  hosts,
  limits,
  keyFile,
  policy,
  admin,
  gateway,
  trustedProxies,
}: ServeOptions): StreamServerProxy {
  const others = origins.filter((origin) => origin !== "*");
  try {
    // Beside "*" other origins have no effect, but a malformed one is a mistake all the same.
    checkOrigins(others);
    return StreamServerProxy({
      prefix: prefix === "" ? "" : [prefix, ""],
      origins: others.length < origins.length ? "*" : others,
      hosts,
      trustedProxies,
      limits,
      tokenKeys: keyFile?.keys,
      authorize: policy?.authorize,
      admin: admin ? policy?.authorize : undefined,
      gateway,
    });
  } catch (reason) {
    if (reason instanceof RangeError) throw new UsageError(reason.message);
    throw reason;
  }
}

/** Returns the certificate of the port, if it speaks TLS, and where programs that are to trust it find it. */
async function openCertificate({ tls, hosts, gateway }: ServeOptions): Promise<ServedCertificate | undefined> {
  if (tls === undefined) return undefined;
  if (tls !== "development") return { files: tls, certPath: tls.certPath, isNew: false };
  const names = hosts === "*" ? [] : hosts.map((host) => host.replace(/^\[(.*)\]$/, "$1"));
  const own = [...new Set([...names, ...machineNames()])];
  const below = gateway?.by === "host" ? [gateway.host].flat().map((host) => `*.${host}`) : [];
  return openDevelopmentCertificate([...own, ...below]);
}

/** Serves the relay on its port, or on the socket that its supervisor has opened for it. */
function openServer(
  { port, host, fd, open, policy, page }: ServeOptions,
  proxy: StreamServerProxy,
  tls: TlsOptions | undefined,
): Promise<RelayServer> {
  const place = fd === undefined ? { port, host } : { fd };
  // The address of a port of its own was checked with the other options.
  const checkHost = fd !== undefined && !open && policy === undefined ? checkReach : () => {};
  const served = serveRelayWhere({ proxy, ...place, tls, fallback: createPage(page) }, checkHost);
  return served.catch((cause: unknown) => {
    throw portError(cause, { port, host });
  });
}

/** Logs which certificate the port uses, and uses the next one when the files change. Returns what ends this. */
function followCertificate(files: TlsFiles, server: RelayServer, log: (event: RelayEvent) => void): () => void {
  const tell = ({ fingerprint256: sha256, validToDate }: X509Certificate) =>
    log({ event: "certificate.used", file: files.certPath, sha256, validTo: validToDate.toISOString() });
  tell(files.content.certificate);
  return files.watch({
    onRead({ tls, certificate }) {
      server.setTls(tls);
      tell(certificate);
    },
    onRefused: (reason) => log({ event: "certificate.refused", reason }),
  });
}

/** Serves the given folder, or else the page to try the relay. Returns undefined if that page was not built. */
function createPage(ownFolder: string | undefined): RelayServerOptions["fallback"] {
  const folder = ownFolder ?? fileURLToPath(new URL("../../page", import.meta.url));
  return existsSync(folder) ? servePageFolder(folder) : undefined;
}

/** Returns the URL of a listener, with NAME for its name. */
function gatewayAddress(address: string, { gateway, hosts }: ServeOptions): string {
  if (gateway?.by !== "host") return `${address}~/NAME/`;
  const { protocol, hostname, port } = new URL(address);
  const [first] = [gateway.host].flat();
  const host = hosts !== "*" && hosts.includes(hostname) && isIP(hostname) === 0 ? hostname : first;
  return `${protocol}//NAME.${host}${port === "" ? "" : `:${port}`}/`;
}

/** Returns the URLs of the port: this machine's own first, then those by which others on its network reach it. */
function addressesOf({ shownHost, fd, tls }: ServeOptions, { host, port }: RelayServer): string[] {
  const url = (name: string) => `${tls === undefined ? "http" : "https"}://${name}:${port}/`;
  const shown = fd === undefined ? shownHost : allInterfaces.includes(host) ? undefined : host;
  if (shown !== undefined) return [url(shown.includes(":") ? `[${shown}]` : shown)];
  return ["localhost", ...networkAddresses("IPv4")].map(url);
}
