import { once } from "node:events";
import type { AddressInfo } from "node:net";
import { WebSocket, WebSocketServer } from "ws";
import type { BenchStream, Contender } from "../../contender.ts";
import { Rendezvous } from "./rendezvous.ts";

const senderHighWaterMarkBytes = 262_144;

const openSocket = (port: number, path: string) =>
  new WebSocket(`ws://127.0.0.1:${port}/${path}`, { perMessageDeflate: false });

function benchStream(socket: WebSocket): BenchStream {
  let drained = Promise.resolve();
  return {
    write(message) {
      if (socket.bufferedAmount < senderHighWaterMarkBytes) {
        socket.send(message);
        return true;
      }
      drained = new Promise((resolve) => socket.send(message, () => resolve()));
      return false;
    },
    drained: () => drained,
    receive: (onBytes) => void socket.on("message", onBytes),
    pause: () => socket.pause(),
    end: () => socket.close(),
    closed: new Promise((resolve) => socket.once("close", () => resolve())),
  };
}

/** Passes messages on. Above the mark it stops the sender until the kernel has taken all waiting bytes. */
function forward(from: WebSocket, to: WebSocket, highWaterMarkBytes: number): void {
  from.on("message", (data, binary) => {
    if (to.bufferedAmount < highWaterMarkBytes) return to.send(data, { binary });
    from.pause();
    to.send(data, { binary }, () => from.resume());
  });
  from.on("close", () => to.close());
}

/** A relay with a WebSocket for each end of a stream. Messages are masked by bufferutil, which `ws` finds by itself. */
function createWs(highWaterMarkBytes: number): Contender {
  return {
    keepsMessages: true,
    async serve() {
      const rendezvous = new Rendezvous<WebSocket, WebSocket>((listener, id) => listener.send(id));
      const server = new WebSocketServer({ port: 0, host: "127.0.0.1", backlog: 4096, perMessageDeflate: false });
      server.on("connection", (socket, { url = "" }) => {
        const [, verb, argument = ""] = url.split("/");
        if (verb === "listen") {
          rendezvous.listen(argument, socket);
          socket.send("0");
        } else if (verb === "connect") {
          socket.pause();
          rendezvous.connect(argument, socket);
        } else {
          const client = rendezvous.accept(argument);
          forward(client, socket, highWaterMarkBytes);
          forward(socket, client, highWaterMarkBytes);
          client.resume();
        }
      });
      await once(server, "listening");
      return (server.address() as AddressInfo).port;
    },
    async listener(port) {
      return {
        async listen(name, onStream) {
          const control = openSocket(port, `listen/${name}`);
          await once(control, "message");
          control.on("message", (id) => {
            const socket = openSocket(port, `accept/${id}`);
            // A message may follow in the same turn, so `onStream` adds the listener before this callback returns.
            socket.once("open", () => onStream(benchStream(socket)));
          });
        },
      };
    },
    async client(port) {
      return {
        async open(name) {
          const socket = openSocket(port, `connect/${name}`);
          await once(socket, "open");
          return benchStream(socket);
        },
      };
    },
  };
}

export const ws = createWs(1_048_576);
/** A relay that holds little: the mark of 16 KiB was the default of Node's streams before Node 22. */
export const wsPaused = createWs(16_384);
