import { once } from "node:events";
import { Agent, type ClientRequest, createServer, type IncomingMessage, request } from "node:http";
import type { AddressInfo } from "node:net";
import { finished } from "node:stream/promises";
import { Server } from "piping-server";
import type { BenchStream, Contender } from "../../contender.ts";
import { nodeWriter } from "./node-stream.ts";

/** A listener has this many downloads open for clients to come, because the relay knows paths and no listeners. */
const waitingClients = 64;

const agent = new Agent({ keepAlive: true });

function upload(port: number, path: string): ClientRequest {
  const up = request({ port, host: "127.0.0.1", path, method: "PUT", agent });
  up.on("response", (response) => response.resume());
  up.flushHeaders();
  return up;
}

async function download(port: number, path: string): Promise<IncomingMessage> {
  const down = request({ port, host: "127.0.0.1", path, agent });
  down.end();
  const [response] = (await once(down, "response")) as [IncomingMessage];
  return response;
}

/** Adapts a pair of requests. `down` resolves late, because the response to a download comes with its first byte. */
function benchStream(up: ClientRequest, down: Promise<IncomingMessage>): BenchStream {
  const ended = down.then(async (response) => {
    response.on("end", () => up.end());
    await once(response, "end");
  });
  return {
    ...nodeWriter(up),
    receive: (onBytes) => void down.then((response) => response.on("data", onBytes)),
    pause: () => void down.then((response) => response.pause()),
    closed: Promise.all([finished(up), ended]).then(() => {}),
  };
}

/** The next client's ordinal for each name, which is a part of its path. All connections of a process share them. */
const nextOrdinals = new Map<string, number>();

/** A relay of piping-server. A stream is two paths, each with a request that uploads and one that downloads. */
export const pipingServer: Contender = {
  keepsMessages: false,
  async serve() {
    const server = createServer(new Server().generateHandler(false));
    server.requestTimeout = 0;
    server.listen({ port: 0, host: "127.0.0.1", backlog: 4096 });
    await once(server, "listening");
    return (server.address() as AddressInfo).port;
  },
  async listener(port) {
    return {
      async listen(name, onStream) {
        const wait = async (ordinal: number) => {
          const down = await download(port, `/${name}/${ordinal}/up`);
          void wait(ordinal + waitingClients);
          onStream(benchStream(upload(port, `/${name}/${ordinal}/down`), Promise.resolve(down)));
        };
        for (let ordinal = 0; ordinal < waitingClients; ordinal += 1) void wait(ordinal);
      },
    };
  },
  async client(port) {
    return {
      async open(name) {
        const ordinal = nextOrdinals.get(name) ?? 0;
        nextOrdinals.set(name, ordinal + 1);
        const up = upload(port, `/${name}/${ordinal}/up`);
        return benchStream(up, download(port, `/${name}/${ordinal}/down`));
      },
    };
  },
};
