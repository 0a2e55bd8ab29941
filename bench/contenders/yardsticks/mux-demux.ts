import { once } from "node:events";
import { type AddressInfo, connect, createServer, type Socket } from "node:net";
import createMux, { type Mux, type MuxStream } from "mux-demux/msgpack.js";
import type { BenchStream, Contender } from "../../contender.ts";
import { Rendezvous } from "./rendezvous.ts";

/** The purpose of a stream, which the library sends along when it opens one. */
interface Meta {
  verb: "listen" | "connect" | "accept";
  argument: string;
}

function wrap(socket: Socket): Mux {
  const mux = createMux();
  socket.pipe(mux).pipe(socket);
  return mux;
}

async function open(port: number): Promise<{ socket: Socket; mux: Mux }> {
  const socket = connect({ port, host: "127.0.0.1", noDelay: true });
  await once(socket, "connect");
  return { socket, mux: wrap(socket) };
}

interface Leg {
  stream: MuxStream;
  socket: Socket;
}

/**
 * Forwards one direction. The library reports no backpressure of its own, so the sender is stopped while the receiver's
 * socket is full.
 */
function forward(from: Leg, to: Leg): void {
  let isStopped = false;
  const stop = () => {
    if (isStopped) return;
    isStopped = true;
    from.socket.pause();
    to.socket.once("drain", () => {
      isStopped = false;
      from.socket.resume();
    });
  };
  from.stream.on("data", (data) => {
    to.stream.write(data);
    if (to.socket.writableNeedDrain) stop();
  });
  from.stream.on("end", () => to.stream.end());
}

function benchStream(stream: MuxStream, socket: Socket): BenchStream {
  const closed = new Promise<void>((resolve) => stream.on("close", () => resolve()));
  stream.on("end", () => stream.end());
  return {
    write(message) {
      stream.write(Buffer.from(message.buffer, message.byteOffset, message.byteLength));
      return !socket.writableNeedDrain;
    },
    drained: async () => void (await once(socket, "drain")),
    receive: (onBytes) => void stream.on("data", onBytes),
    pause: () => void stream.pause(),
    end: () => void stream.end(),
    closed,
  };
}

/** A relay on mux-demux. All streams of an endpoint share one TCP connection. */
export const muxDemux: Contender = {
  keepsMessages: true,
  async serve() {
    const rendezvous = new Rendezvous<MuxStream, Leg>((listener, id) => listener.write(id));
    const server = createServer({ noDelay: true }, (socket) => {
      socket.on("error", () => socket.destroy());
      wrap(socket).on("connection", (stream) => {
        const { verb, argument } = stream.meta as Meta;
        if (verb === "listen") {
          rendezvous.listen(argument, stream);
          stream.write("0");
        } else if (verb === "connect") {
          rendezvous.connect(argument, { stream, socket });
        } else {
          const client = rendezvous.accept(argument);
          forward(client, { stream, socket });
          forward({ stream, socket }, client);
          stream.write(ready);
          client.stream.write(ready);
        }
      });
    });
    server.listen({ port: 0, host: "127.0.0.1", backlog: 4096 });
    await once(server, "listening");
    return (server.address() as AddressInfo).port;
  },
  async listener(port) {
    const { socket, mux } = await open(port);
    return {
      async listen(name, onStream) {
        const control = mux.createStream({ verb: "listen", argument: name } satisfies Meta);
        await once(control, "data");
        control.on("data", (id: string) => {
          const stream = mux.createStream({ verb: "accept", argument: id } satisfies Meta);
          stream.once("data", () => onStream(benchStream(stream, socket)));
        });
      },
    };
  },
  async client(port) {
    const { socket, mux } = await open(port);
    return {
      async open(name) {
        const stream = mux.createStream({ verb: "connect", argument: name } satisfies Meta);
        // The library drops data that arrives before there is a reader, so the client waits until it is paired.
        await once(stream, "data");
        return benchStream(stream, socket);
      },
    };
  },
};

const ready = "ready";
