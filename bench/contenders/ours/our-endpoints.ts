import type { Stream, TransportLike } from "../../../web/index.ts";
import type { BenchStream, Endpoints } from "../../contender.ts";
import type { Product } from "../../product.ts";

export type TransportFactory = (product: Product, baseUrl: string, connection: number) => TransportLike;

/** The endpoints of the package over one kind of transport. */
export function ourEndpoints(loadPackage: () => Promise<Product>, createTransport: TransportFactory): Endpoints {
  const transport = async (port: number, connection: number) => {
    const product = await loadPackage();
    return { ...product, transport: createTransport(product, `http://127.0.0.1:${port}`, connection) };
  };
  return {
    async listener(port, connection) {
      const { StreamServer, transport: shared } = await transport(port, connection);
      return {
        async listen(name, onStream) {
          const server = StreamServer(shared, (stream) => onStream(benchStream(stream, "listener"))).listen(name);
          await server.ready;
        },
      };
    },
    async client(port, connection) {
      const { StreamClient, transport: shared } = await transport(port, connection);
      const client = StreamClient(shared);
      return { open: async (name) => benchStream(client.connect(name), "client") };
    },
  };
}

function benchStream(stream: Stream, role: "listener" | "client"): BenchStream {
  if (role === "listener") stream.on("end", () => stream.end());
  stream.on("error", (error) => {
    throw error;
  });
  return {
    write: (message) => stream.write(message as Uint8Array<ArrayBuffer>),
    drained: () => new Promise((resolve) => stream.once("drain", resolve)),
    receive: (onBytes) => stream.on("data", (bytes) => onBytes(bytes as Uint8Array)),
    pause: () => stream.pause(),
    end: () => stream.end(),
    get closed() {
      return stream.closed;
    },
  };
}
