import type { Server as Http1Server } from "node:http";
import type { AddressInfo } from "node:net";
import { warnOfAcceptError, watchAccepting } from "./http/accepting.js";
import type { NodeRequest, NodeResponse } from "./http/node-server.js";
import { PlainPort } from "./http/plain-port.js";
import { SecurePort, type TlsOptions } from "./http/secure-port.js";
import { described, knownOptions } from "./relay/known-options.js";
import { type StreamServerProxy, warningsOf } from "./stream-server-proxy.js";

/** Turns of the event loop before the connections are closed, in which they get the errors that end all calls. */
const lastTurns = 10;

export interface RelayServerOptions {
  /** The relay. `serveRelay` installs it on its own servers. */
  proxy: StreamServerProxy;
  /** From 0 to 65535; 0 is any port that is free. */
  port: number;
  /** Default all interfaces. */
  host?: string | undefined;
  /** With it the port speaks TLS, and HTTP/2 or HTTP/1.1 as ALPN decides. */
  tls?: TlsOptions | undefined;
  /** Answers the requests that are not the relay's. Default: with 404. */
  fallback?: ((request: NodeRequest, response: NodeResponse) => void) | undefined;
}

/** A relay that listens on a port. The caller must close it. */
export interface RelayServer {
  /** The port that is listened on, also where the option was 0. */
  readonly port: number;
  /** Ends the relay and every connection. Resolves when the port is free; never rejects. */
  close(): Promise<void>;
}

/**
 * Serves a relay on a port of its own: HTTP/1.1 and HTTP/2, over TLS if `tls` is given.
 *
 * - Resolves when the port is open. The caller must call `close()`, which ends the relay too.
 * - Rejects with the system's error if the port cannot be had, with a TypeError for an unknown option or one of a wrong
 *   type, and with a RangeError for a port that cannot be.
 *
 * @example
 * const server = await serveRelay({ proxy: StreamServerProxy(), port: 8080 });
 * process.once("SIGTERM", () => server.close());
 */
export async function serveRelay(options: RelayServerOptions): Promise<RelayServer> {
  const { proxy, port, host, tls, fallback } = checkedOptions(options);
  const own = tls === undefined ? new PlainPort() : new SecurePort(tls);
  for (const server of own.servers) {
    if (fallback !== undefined) (server as Http1Server).on("request", fallback);
    proxy.install(server);
  }
  await new Promise<void>((resolve, reject) => {
    own.listener.once("error", reject);
    own.listener.listen({ port, host }, () => {
      own.listener.off("error", reject);
      resolve();
    });
  });
  const warnings = warningsOf(proxy);
  const stopWatching = watchAccepting(own.listener, warnings);
  // A server that listens emits no other error than that of a connection that cannot be accepted.
  own.listener.on("error", (error) => void warnOfAcceptError(error, warnings));
  return {
    port: (own.listener.address() as AddressInfo).port,
    async close() {
      stopWatching();
      proxy.close();
      for (let turn = 0; turn < lastTurns; turn += 1) await new Promise((resolve) => setImmediate(resolve));
      await own.close();
    },
  };
}

function checkedOptions(options: RelayServerOptions): RelayServerOptions {
  const checked = knownOptions("options of serveRelay", options, ["proxy", "port", "host", "tls", "fallback"]);
  const { proxy, port, host, tls, fallback } = checked;
  if (typeof proxy?.install !== "function") {
    throw new TypeError(`the proxy is what StreamServerProxy() makes, not ${described(proxy)}`);
  }
  if (!Number.isInteger(port) || port < 0 || port > 65_535) {
    throw new RangeError(`the port is a whole number from 0 to 65535, not ${described(port)}`);
  }
  if (host !== undefined && typeof host !== "string")
    throw new TypeError(`the host is a string, not ${described(host)}`);
  if (fallback !== undefined && typeof fallback !== "function") {
    throw new TypeError(`the fallback is a function, not ${described(fallback)}`);
  }
  if (tls !== undefined && (knownOptions("options of tls", tls, ["cert", "key"]).cert === undefined || !tls.key)) {
    throw new TypeError("tls takes both, a certificate and its key");
  }
  return checked;
}
