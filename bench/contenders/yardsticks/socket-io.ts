import { once } from "node:events";
import { createServer } from "node:http";
import type { AddressInfo } from "node:net";
import { Server, type Socket } from "socket.io";
import type { Contender } from "../../contender.ts";
import { socketIoEndpoints } from "./socket-io-endpoints.ts";

interface Pair {
  client: Socket;
  listener: Socket;
}

/** A relay on Socket.IO. All streams of an endpoint are events on its one connection, told apart by an id. */
export const socketIo: Contender = {
  keepsMessages: true,
  async serve() {
    const http = createServer();
    const names = new Map<string, Socket>();
    const pairs = new Map<string, Pair>();
    let lastId = 0;
    const server = new Server(http, {
      cors: { origin: "*" },
      transports: ["websocket"],
      perMessageDeflate: false,
      maxHttpBufferSize: 16_777_216,
      serveClient: false,
    });
    server.on("connection", (socket) => {
      const peerOf = ({ client, listener }: Pair) => (socket === client ? listener : client);
      socket.on("listen", (name: string, done: () => void) => {
        names.set(name, socket);
        done();
      });
      socket.on("connect-to", (name: string, done: (id: string) => void) => {
        const listener = names.get(name);
        if (listener === undefined) throw new Error(`nobody listens on ${name}`);
        const id = String(++lastId);
        pairs.set(id, { client: socket, listener });
        listener.emit("offer", name, id);
        pending.set(id, () => done(id));
      });
      socket.on("accept", (id: string) => {
        pending.get(id)?.();
        pending.delete(id);
      });
      socket.on("data", (id: string, data: Uint8Array, ack: (() => void) | undefined) => {
        const pair = pairs.get(id);
        if (pair === undefined) return;
        if (ack === undefined) peerOf(pair).emit("data", id, data);
        else peerOf(pair).emit("data", id, data, ack);
      });
      socket.on("end", (id: string) => {
        const pair = pairs.get(id);
        pairs.delete(id);
        pair?.client.emit("end", id);
        pair?.listener.emit("end", id);
      });
    });
    const pending = new Map<string, () => void>();
    http.listen({ port: 0, host: "127.0.0.1", backlog: 4096 });
    await once(http, "listening");
    return (http.address() as AddressInfo).port;
  },
  ...socketIoEndpoints(async () => (await import("socket.io-client")).io),
};
