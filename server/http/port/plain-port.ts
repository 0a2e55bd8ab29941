import { createServer as createHttp1Server, type Server as Http1Server } from "node:http";
import { createServer as createHttp2Server, type Http2Server } from "node:http2";
import { createServer as createTcpServer, type Socket, type Server as TcpServer } from "node:net";
import type { NodeServer } from "../node-server.js";
import { plainAddress, type TrustedProxies } from "../request/trusted-proxies.js";
import { portOptions } from "./port-options.js";

/** The first bytes of an HTTP/2 connection with prior knowledge. RFC 9113, section 3.4. */
const http2Preface = Buffer.from("PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n");

/**
 * Serves HTTP/1.1, and HTTP/2 with prior knowledge, on one TCP port without TLS, so that a browser and a gRPC client
 * use the same address. The first bytes of each connection tell the two apart.
 */
export class PlainPort {
  readonly #openTimeoutMs: number;
  readonly #http1: Http1Server;
  readonly #http1OfProxies: Http1Server;
  readonly #http2: Http2Server;
  readonly #http2OfProxies: Http2Server;
  readonly #proxies: TrustedProxies;
  readonly #tcp: TcpServer = createTcpServer((socket) => this.#sort(socket));
  readonly #sockets = new Set<Socket>();

  /**
   * A connection is closed if its first bytes do not tell within `openTimeoutMs` which protocol it speaks, or if it
   * takes longer for the head of a request.
   *
   * - `proxies`: those whose connections of HTTP/2 are not cut off for resets, and of HTTP/1.1 may be idle for long.
   */
  constructor(openTimeoutMs: number, proxies: TrustedProxies) {
    this.#openTimeoutMs = openTimeoutMs;
    this.#proxies = proxies;
    const { http1, http1OfProxies, http2, http2OfProxies } = portOptions(openTimeoutMs);
    this.#http1 = createHttp1Server(http1);
    this.#http1OfProxies = createHttp1Server(http1OfProxies);
    this.#http2 = createHttp2Server(http2);
    this.#http2OfProxies = createHttp2Server(http2OfProxies);
    // A server starts its check for slow requests when it listens, which these never do by themselves.
    for (const server of [this.#http1, this.#http1OfProxies]) server.emit("listening");
  }

  /** The servers that emit the requests. */
  get servers(): readonly NodeServer[] {
    return [this.#http1, this.#http1OfProxies, this.#http2, this.#http2OfProxies];
  }

  /** The server that listens on the port. */
  get listener(): TcpServer {
    return this.#tcp;
  }

  /** Stops listening and ends every connection. */
  async close(): Promise<void> {
    const closed = new Promise<void>((resolve) => this.#tcp.close(() => resolve()));
    for (const socket of this.#sockets) socket.destroy();
    for (const server of [this.#http1, this.#http1OfProxies, this.#http2, this.#http2OfProxies]) server.close();
    await closed;
  }

  #sort(socket: Socket): void {
    const giveUp = () => socket.destroy();
    // Bytes that come one by one do not postpone the end.
    const deadline = setTimeout(giveUp, this.#openTimeoutMs);
    this.#sockets.add(socket);
    socket.once("close", () => {
      clearTimeout(deadline);
      this.#sockets.delete(socket);
    });
    socket.setNoDelay();
    socket.on("error", giveUp);
    let first = Buffer.alloc(0);
    const onReadable = () => {
      const chunk: Buffer | null = socket.read();
      if (chunk === null) return;
      first = Buffer.concat([first, chunk]);
      const known = Math.min(first.byteLength, http2Preface.byteLength);
      const matches = first.subarray(0, known).equals(http2Preface.subarray(0, known));
      if (matches && known < http2Preface.byteLength) return;
      socket.off("readable", onReadable);
      socket.off("error", giveUp);
      clearTimeout(deadline);
      socket.unshift(first);
      this.#serverFor(socket, matches ? "http2" : "http1").emit("connection", socket);
    };
    socket.on("readable", onReadable);
  }

  #serverFor({ remoteAddress = "" }: Socket, protocol: "http1" | "http2"): NodeServer {
    const isOfProxy = this.#proxies.includes(plainAddress(remoteAddress));
    if (protocol === "http1") return isOfProxy ? this.#http1OfProxies : this.#http1;
    return isOfProxy ? this.#http2OfProxies : this.#http2;
  }
}
