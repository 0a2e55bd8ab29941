import { createSecureServer, type Http2SecureServer } from "node:http2";
import type { Socket, Server as TcpServer } from "node:net";
import type { NodeServer } from "../node-server.js";
import { portOptions } from "./port-options.js";

export interface TlsOptions {
  /** The certificate and those that lead to it, in PEM. */
  cert: string | Buffer;
  /** The certificate's key, in PEM. */
  key: string | Buffer;
}

/** Serves HTTP/2 and HTTP/1.1 on one TCP port with TLS; ALPN decides which. */
export class SecurePort {
  readonly #server: Http2SecureServer;
  readonly #sockets = new Set<Socket>();

  /** A connection is closed if its handshake, or the head of a request, takes longer than `openTimeoutMs`. */
  constructor(tls: TlsOptions, openTimeoutMs: number) {
    const { http1, http2 } = portOptions(openTimeoutMs);
    this.#server = createSecureServer({
      ...tls,
      ...http1,
      ...http2,
      allowHTTP1: true,
      handshakeTimeout: openTimeoutMs,
    });
    this.#server.on("connection", (socket: Socket) => {
      this.#sockets.add(socket);
      socket.once("close", () => this.#sockets.delete(socket));
    });
  }

  /** The servers that emit the requests. */
  get servers(): readonly NodeServer[] {
    return [this.#server];
  }

  /** The server that listens on the port. */
  get listener(): TcpServer {
    return this.#server;
  }

  /** Uses another certificate for connections from now on. Those that are open go on with the one they have. */
  setTls(tls: TlsOptions): void {
    this.#server.setSecureContext(tls);
  }

  /** Stops listening and ends every connection. */
  async close(): Promise<void> {
    const closed = new Promise<void>((resolve) => this.#server.close(() => resolve()));
    for (const socket of this.#sockets) socket.destroy();
    await closed;
  }
}
