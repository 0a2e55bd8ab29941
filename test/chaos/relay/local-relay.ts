import type { ConnectOptions, Stream } from "browser-stream-server";
import {
  type RelayCounts,
  type RelayLimits,
  type RelayServer,
  StreamServerProxy,
  serveRelay,
} from "browser-stream-server/server";

/** A relay in this process, for streams that its own process opens. */
export class LocalRelay {
  readonly problems: string[] = [];
  readonly #proxy: StreamServerProxy;
  readonly #server: RelayServer;

  private constructor(proxy: StreamServerProxy, server: RelayServer) {
    this.#proxy = proxy;
    this.#server = server;
    proxy.on("warning", ({ message }) => this.problems.push(`the relay warns: ${message}`));
  }

  static async start(limits: Partial<RelayLimits>): Promise<LocalRelay> {
    const proxy = StreamServerProxy({ limits });
    return new LocalRelay(proxy, await serveRelay({ proxy, port: 0, host: "127.0.0.1" }));
  }

  get port(): number {
    return this.#server.port;
  }

  async counts(): Promise<RelayCounts> {
    return { ...this.#proxy.counts };
  }

  connect(name: string, options: ConnectOptions): Stream {
    return this.#proxy.connect(name, options);
  }

  close(): Promise<void> {
    return this.#server.close();
  }
}
