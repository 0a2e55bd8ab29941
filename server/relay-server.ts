import type { Server as Http1Server } from "node:http";
import type { AddressInfo } from "node:net";
import type { NodeRequest, NodeResponse } from "./http/node-server.js";
import { PlainPort } from "./http/plain-port.js";
import { SecurePort, type TlsOptions } from "./http/secure-port.js";
import type { StreamServerProxy } from "./stream-server-proxy.js";

/** Turns of the event loop in which the relay's last words, why everything ends, are handed to the connections. */
const lastTurns = 10;

export interface RelayServerOptions {
  proxy: StreamServerProxy;
  /** 0 for any that is free. */
  port: number;
  /** Default all interfaces. */
  host?: string | undefined;
  /** With it the port speaks TLS, and HTTP/2 or HTTP/1.1 as ALPN decides. */
  tls?: TlsOptions | undefined;
  /** What is not the relay's. Default 404. */
  fallback?: ((request: NodeRequest, response: NodeResponse) => void) | undefined;
}

/** A relay that listens. */
export interface RelayServer {
  readonly port: number;
  /** Ends the relay and every connection. */
  close(): Promise<void>;
}

/** Serves a relay on a port of its own. Rejects if the port cannot be had. */
export async function serveRelay({ proxy, port, host, tls, fallback }: RelayServerOptions): Promise<RelayServer> {
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
  return {
    port: (own.listener.address() as AddressInfo).port,
    async close() {
      proxy.close();
      for (let turn = 0; turn < lastTurns; turn += 1) await new Promise((resolve) => setImmediate(resolve));
      await own.close();
    },
  };
}
