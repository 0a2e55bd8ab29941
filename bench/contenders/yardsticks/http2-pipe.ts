import { once } from "node:events";
import {
  type ClientHttp2Session,
  type ClientHttp2Stream,
  connect,
  createServer,
  type Http2Session,
  type ServerHttp2Stream,
} from "node:http2";
import type { AddressInfo } from "node:net";
import { createInterface } from "node:readline";
import type { Contender } from "../../contender.ts";
import { nodeStream } from "./node-stream.ts";
import { Rendezvous } from "./rendezvous.ts";

const settings = { initialWindowSize: 1_048_576, maxConcurrentStreams: 100_000 };
/** Node's default of 10 MB is too small for thousands of streams. */
const maxSessionMemoryMb = 1_000;

const widen = (session: Http2Session) => session.setLocalWindowSize(4_194_304);

async function openSession(port: number): Promise<ClientHttp2Session> {
  const session = connect(`http://127.0.0.1:${port}`, { settings, maxSessionMemory: maxSessionMemoryMb });
  await once(session, "connect");
  widen(session);
  return session;
}

function request(session: ClientHttp2Session, path: string): ClientHttp2Stream {
  return session.request({ ":method": "POST", ":path": path }, { endStream: false });
}

/** A relay with nothing but HTTP/2: each end of a stream is one request, whose body the relay passes on. */
export const http2Pipe: Contender = {
  keepsMessages: false,
  async serve() {
    const rendezvous = new Rendezvous<ServerHttp2Stream, ServerHttp2Stream>((listener, id) =>
      listener.write(`${id}\n`),
    );
    const server = createServer({ settings, maxSessionMemory: maxSessionMemoryMb });
    server.on("session", widen);
    server.on("stream", (stream, headers) => {
      const [, verb, argument = ""] = (headers[":path"] ?? "").split("/");
      stream.respond({ ":status": 200 });
      if (verb === "listen") {
        rendezvous.listen(argument, stream);
        stream.write("0\n");
      } else if (verb === "connect") rendezvous.connect(argument, stream);
      else {
        const client = rendezvous.accept(argument);
        client.pipe(stream);
        stream.pipe(client);
      }
    });
    server.listen(0, "127.0.0.1");
    await once(server, "listening");
    return (server.address() as AddressInfo).port;
  },
  async listener(port) {
    const session = await openSession(port);
    return {
      async listen(name, onStream) {
        const lines = createInterface({ input: request(session, `/listen/${name}`) });
        await once(lines, "line");
        lines.on("line", (id) => onStream(nodeStream(request(session, `/accept/${id}`))));
      },
    };
  },
  async client(port) {
    const session = await openSession(port);
    return { open: async (name) => nodeStream(request(session, `/connect/${name}`)) };
  },
};
