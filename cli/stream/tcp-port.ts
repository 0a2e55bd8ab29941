import { once } from "node:events";
import { type AddressInfo, createServer, type Socket } from "node:net";
import { Fifo } from "../../stream/platform/fifo.js";
import { type Stream, StreamError } from "../../web/node.js";
import { portError } from "../command/port-error.js";
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
  /** Takes no more connections. Open connections go on. */
  close(): void;
}

/** A relay takes this many calls on one connection, which is all that this program has. */
const maxConnections = 1_000;
/**
 * A relay lets 128 clients wait at a listener: the others of a burst wait here, as they would in a server's backlog.
 */
const maxOpening = 64;

/** A TCP port of this machine; each connection to it becomes a stream. Rejects if the port cannot be had. */
export async function openTcpPort({ port, host, connect, onBroken }: TcpPortInit): Promise<TcpPort> {
  const waiting = new Fifo<Socket>();
  const opening = new Set<Stream>();
  const openNext = () => {
    while (opening.size < maxOpening) {
      const socket = waiting.shift();
      if (socket === undefined) return;
      const stream = connect();
      opening.add(stream);
      const opened = () => {
        opening.delete(stream);
        openNext();
      };
      stream.opened.then(opened, opened);
      bridge(socket, stream).catch((reason: unknown) => onBroken(StreamError.from(reason)));
    }
  };
  const server = createServer({ allowHalfOpen: true, pauseOnConnect: true }, (socket) => {
    // `bridge` reports the error; without a listener it ends the process.
    socket.on("error", () => {});
    waiting.push(socket);
    openNext();
  });
  server.maxConnections = maxConnections;
  server.listen({ port, host });
  try {
    await once(server, "listening");
  } catch (cause) {
    throw portError(cause, { host, port });
  }
  // A connection that this process has no descriptor for: the next one may find one.
  server.on("error", (error) => onBroken(StreamError.from(error)));
  return { port: (server.address() as AddressInfo).port, close: () => server.close() };
}
