import type { Server as Http1Server } from "node:http";
import type { AddressInfo } from "node:net";
import { described, knownOptions } from "./admission/known-options.js";
import { warnOfAcceptError, watchAccepting } from "./http/accepting.js";
import type { NodeRequest, NodeResponse } from "./http/node-server.js";
import { capConnections } from "./http/port/capped-connections.js";
import { PlainPort } from "./http/port/plain-port.js";
import { SecurePort, type TlsOptions } from "./http/port/secure-port.js";
import { answerProbes } from "./http/probes.js";
import { closeIfUnfinished } from "./http/request/answered-request.js";
import type { DrainOptions } from "./proxy-options.js";
import { refusesHost, relayOf, type StreamServerProxy, trustedProxiesOf, warningsOf } from "./stream-server-proxy.js";

/** Turns of the event loop before the connections are closed, in which they get the errors that end all calls. */
const lastTurns = 10;

export interface RelayServerOptions {
  /** The relay. `serveRelay` installs it on its own servers. */
  proxy: StreamServerProxy;
  /** From 0 to 65535; 0 is any port that is free. Left out with `fd`, and needed without. */
  port?: number | undefined;
  /** Default all interfaces. */
  host?: string | undefined;
  /** The descriptor of a socket that listens already, in place of a port, as a supervisor such as systemd passes it. */
  fd?: number | undefined;
  /** With it the port speaks TLS, and HTTP/2 or HTTP/1.1 as ALPN decides. */
  tls?: TlsOptions | undefined;
  /**
   * Answers the requests that are neither the relay's nor for `/healthz` or `/readyz`. Default: with 404. Pages under
   * a name that is not among the proxy's `hosts` are answered with 403 before.
   */
  fallback?: ((request: NodeRequest, response: NodeResponse) => void) | undefined;
}

/** A relay that listens on a port. The caller must close it. */
export interface RelayServer {
  /** The port that is listened on, also where the option was 0. */
  readonly port: number;
  /** The address that is listened on, such as "127.0.0.1", or "::" for all interfaces. */
  readonly host: string;
  /**
   * Uses another certificate and key for connections from now on; those that are open go on. Throws the system's error
   * for what is no certificate and its key, after which the ones before stay in use, and a TypeError if the port speaks
   * no TLS.
   */
  setTls(tls: TlsOptions): void;
  /**
   * Leaves without cutting streams short, where they end in time: as `drain` of the proxy does, and then closes. The
   * port is open until then, and `/readyz` answers with 503. Resolves when the port is free; rejects for options that
   * cannot be. A call of `close` meanwhile ends the wait.
   */
  drain(options?: DrainOptions): Promise<void>;
  /** Ends the relay and every connection at once. Resolves when the port is free; never rejects. */
  close(): Promise<void>;
}

/**
 * Connections that may wait to be accepted. Node asks for 511, and the system drops what comes beyond: its callers wait
 * for a second or more, and are cut off where that takes `openTimeoutMs`. 4,096 is what Linux gives at most.
 */
const backlog = 4_096;

/**
 * Serves a relay on a port of its own: HTTP/1.1 and HTTP/2, over TLS if `tls` is given. `/healthz` says that the
 * process is alive, and `/readyz` whether the relay takes new names and streams: with 200, and with 503 since `drain`.
 *
 * - Resolves when the port is open. The caller must call `close()` or `drain()`, which end the relay too.
 * - Rejects with the system's error if the port cannot be had, with a TypeError for an unknown option or one of a wrong
 *   type, and with a RangeError for a port that cannot be.
 *
 * @example
 * const server = await serveRelay({ proxy: StreamServerProxy(), port: 8080 });
 * process.once("SIGTERM", () => server.drain());
 */
export function serveRelay(options: RelayServerOptions): Promise<RelayServer> {
  return serveRelayWhere(options, () => {});
}

/**
 * Serves a relay as {@link serveRelay} does, unless `checkHost` throws for the address that is listened on: then no
 * connection is accepted, the port is closed, and the promise rejects with what was thrown.
 */
export async function serveRelayWhere(
  options: RelayServerOptions,
  checkHost: (host: string) => void,
): Promise<RelayServer> {
  const { proxy, port, host, fd, tls, fallback } = checkedOptions(options);
  const { openTimeoutMs } = proxy.limits;
  const own =
    tls === undefined ? new PlainPort(openTimeoutMs, trustedProxiesOf(proxy)) : new SecurePort(tls, openTimeoutMs);
  const other = fallback ?? ((...request) => proxy.handler(...request));
  const answer = answerProbes(
    () => proxy.isReady,
    (request, response) => refusesHost(proxy, request, response) || other(request, response),
  );
  for (const server of own.servers) {
    (server as Http1Server).on("request", (request, response) => {
      closeIfUnfinished(response);
      // While the relay closes, it is no longer in front of this listener, and its callers are still its own: another
      // answer than its refusal would tell them that no relay is here.
      proxy.handler(request, response, () => answer(request, response));
    });
    proxy.install(server);
  }
  await new Promise<void>((resolve, reject) => {
    own.listener.once("error", reject);
    own.listener.listen(fd === undefined ? { port, host, backlog } : { fd }, () => {
      own.listener.off("error", reject);
      try {
        // The system may have connections that wait. The first of them is handed out in a later turn.
        checkHost((own.listener.address() as AddressInfo).address);
        resolve();
      } catch (reason) {
        void own.close().then(() => reject(reason));
      }
    });
  });
  const warnings = warningsOf(proxy);
  const stopCapping = capConnections(own.listener, relayOf(proxy).admission, trustedProxiesOf(proxy));
  const stopWatching = watchAccepting(own.listener, warnings);
  // A server that listens emits no other error than that of a connection that cannot be accepted.
  own.listener.on("error", (error) => void warnOfAcceptError(error, warnings));
  const end = async () => {
    stopWatching();
    stopCapping();
    proxy.close();
    for (let turn = 0; turn < lastTurns; turn += 1) await new Promise((resolve) => setImmediate(resolve));
    await own.close();
  };
  let ended: Promise<void> | undefined;
  const close = () => {
    ended ??= end();
    return ended;
  };
  const address = own.listener.address() as AddressInfo;
  return {
    port: address.port,
    host: address.address,
    close,
    setTls(next) {
      if (!(own instanceof SecurePort)) throw new TypeError("the port speaks no TLS, so it has no certificate");
      own.setTls(checkedTls(next));
    },
    async drain(drainOptions) {
      await proxy.drain(drainOptions);
      await close();
    },
  };
}

function checkedOptions(options: RelayServerOptions): RelayServerOptions {
  const checked = knownOptions("options of serveRelay", options, ["proxy", "port", "host", "fd", "tls", "fallback"]);
  const { proxy, port, host, fd, tls, fallback } = checked;
  if (typeof proxy?.install !== "function") {
    throw new TypeError(`the proxy is what StreamServerProxy() makes, not ${described(proxy)}`);
  }
  if (fd === undefined ? !isWhole(port, 65_535) : port !== undefined || host !== undefined) {
    throw new RangeError(`the port is a whole number from 0 to 65535, or left out with fd, not ${described(port)}`);
  }
  if (fd !== undefined && !isWhole(fd, 2 ** 31 - 1)) {
    throw new RangeError(`fd is the number of an open descriptor, not ${described(fd)}`);
  }
  if (host !== undefined && typeof host !== "string")
    throw new TypeError(`the host is a string, not ${described(host)}`);
  if (fallback !== undefined && typeof fallback !== "function") {
    throw new TypeError(`the fallback is a function, not ${described(fallback)}`);
  }
  if (tls !== undefined) checkedTls(tls);
  return checked;
}

function isWhole(value: unknown, max: number): boolean {
  return Number.isInteger(value) && Number(value) >= 0 && Number(value) <= max;
}

function checkedTls(tls: TlsOptions): TlsOptions {
  const checked = knownOptions("options of tls", tls, ["cert", "key"]);
  if (checked.cert && checked.key) return checked;
  throw new TypeError("tls takes both, a certificate and its key");
}
