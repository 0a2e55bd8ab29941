import { once } from "node:events";
import { type AddressInfo, createServer } from "node:net";
import { type Stream, StreamError } from "../web/node.js";
import { bridge } from "./tcp-bridge.js";

export interface TcpPortInit {
  /** 0 for any that is free. */
  port: number;
  host: string;
  /** Opens a stream for a TCP connection. */
  connect: () => Stream;
  /** A connection that could not be served to its end. */
  onBroken: (error: StreamError) => void;
}

/** An open TCP port. */
export interface TcpPort {
  readonly port: number;
  /** Takes no more connections. Those there are go on. */
  close(): void;
}

/** A relay takes this many calls on one connection, which is all that this program has. */
const maxConnections = 1_000;

/** A TCP port of this machine; each connection to it becomes a stream. Rejects if the port cannot be had. */
export async function openTcpPort({ port, host, connect, onBroken }: TcpPortInit): Promise<TcpPort> {
  const server = createServer({ allowHalfOpen: true }, (socket) => {
    bridge(socket, connect()).catch((reason: unknown) => onBroken(StreamError.from(reason)));
  });
  server.maxConnections = maxConnections;
  server.listen({ port, host });
  await once(server, "listening");
  return { port: (server.address() as AddressInfo).port, close: () => server.close() };
}
