import { once } from "node:events";
import { type AddressInfo, connect, createServer, type Socket } from "node:net";
import { createInterface } from "node:readline";
import type { Contender } from "../../contender.ts";
import { nodeStream } from "./node-stream.ts";
import { Rendezvous } from "./rendezvous.ts";

/** Reads the first line of a connection, which states its purpose. The bytes after the line stay unread. */
function readFirstLine(socket: Socket, onLine: (line: string) => void): void {
  const onReadable = () => {
    const chunk: Buffer | null = socket.read();
    const end = chunk?.indexOf("\n") ?? -1;
    if (chunk === null || end < 0) return;
    socket.off("readable", onReadable);
    socket.unshift(chunk.subarray(end + 1));
    onLine(chunk.toString("latin1", 0, end));
  };
  socket.on("readable", onReadable);
}

async function open(port: number, firstLine: string): Promise<Socket> {
  const socket = connect({ port, host: "127.0.0.1", noDelay: true });
  await once(socket, "connect");
  socket.write(`${firstLine}\n`);
  return socket;
}

/** A relay without any protocol: each stream is two TCP connections, whose bytes the relay passes on. */
export const netPipe: Contender = {
  keepsMessages: false,
  async serve() {
    const rendezvous = new Rendezvous<Socket, Socket>((listener, id) => listener.write(`${id}\n`));
    const server = createServer({ noDelay: true, allowHalfOpen: true }, (socket) => {
      readFirstLine(socket, (line) => {
        const [verb, argument = ""] = line.split(" ");
        if (verb === "listen") {
          rendezvous.listen(argument, socket);
          socket.write("0\n");
        } else if (verb === "connect") rendezvous.connect(argument, socket);
        else {
          const client = rendezvous.accept(argument);
          client.pipe(socket);
          socket.pipe(client);
        }
      });
    });
    server.listen({ port: 0, host: "127.0.0.1", backlog: 4096 });
    await once(server, "listening");
    return (server.address() as AddressInfo).port;
  },
  async listener(port) {
    return {
      async listen(name, onStream) {
        const lines = createInterface({ input: await open(port, `listen ${name}`) });
        await once(lines, "line");
        lines.on("line", async (id) => onStream(nodeStream(await open(port, `accept ${id}`))));
      },
    };
  },
  async client(port) {
    return { open: async (name) => nodeStream(await open(port, `connect ${name}`)) };
  },
};
