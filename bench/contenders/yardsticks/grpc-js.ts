import {
  type Call,
  type Client,
  credentials,
  Metadata,
  type Metadata as MetadataType,
  type MethodDefinition,
  makeGenericClientConstructor,
  Server,
  ServerCredentials,
} from "@grpc/grpc-js";
import type { BenchStream, Contender } from "../../contender.ts";
import { Rendezvous } from "./rendezvous.ts";

/** Messages are bytes already. This only gives their memory the type that the library takes. */
const serialize = (bytes: Uint8Array) => Buffer.from(bytes.buffer, bytes.byteOffset, bytes.byteLength);
const deserialize = (bytes: Buffer) => bytes;

const method = (name: string): MethodDefinition => ({
  path: `/bench.Relay/${name}`,
  requestStream: true,
  responseStream: true,
  requestSerialize: serialize,
  requestDeserialize: deserialize,
  responseSerialize: serialize,
  responseDeserialize: deserialize,
});

const service = { listen: method("listen"), connect: method("connect"), accept: method("accept") };
const RelayClient = makeGenericClientConstructor(service, "Relay");

const options = {
  "grpc.max_receive_message_length": -1,
  "grpc.max_send_message_length": -1,
  "grpc-node.flow_control_window": 1_048_576,
  "grpc-node.max_session_memory": 1_000,
  "grpc.max_concurrent_streams": 100_000,
  // Without this option all clients of a process share one connection.
  "grpc.use_local_subchannel_pool": 1,
};

const argument = (call: Call): string => String(call.metadata.get("argument")[0]);

function metadata(value: string): MetadataType {
  const made = new Metadata();
  made.set("argument", value);
  return made;
}

function forward(from: Call, to: Call): void {
  from.on("data", (message: Buffer) => {
    if (to.write(message)) return;
    from.pause();
    to.once("drain", () => from.resume());
  });
  // A server that ends its half ends the whole call, so both calls end together.
  from.on("end", () => {
    to.end();
    from.end();
  });
}

function benchStream(call: Call): BenchStream {
  call.on("end", () => call.end());
  return {
    write: (message) => call.write(message),
    drained: () => new Promise((resolve) => call.once("drain", () => resolve())),
    receive: (onBytes) => call.on("data", onBytes),
    pause: () => call.pause(),
    end: () => call.end(),
    closed: new Promise((resolve) => call.on("status", () => resolve())),
  };
}

function open(port: number): Client {
  return new RelayClient(`127.0.0.1:${port}`, credentials.createInsecure(), options);
}

const call = (client: Client, name: keyof typeof service, value: string): Call => {
  const start = client[name];
  if (start === undefined) throw new Error(`no method ${name}`);
  return start.call(client, metadata(value));
};

/** A relay on grpc-js: bidirectional calls, whose messages are bytes and are passed on unparsed. */
export const grpcJs: Contender = {
  keepsMessages: true,
  async serve() {
    const rendezvous = new Rendezvous<Call, Call>((listener, id) => listener.write(Buffer.from(id)));
    const server = new Server(options);
    server.addService(service, {
      listen(listener) {
        rendezvous.listen(argument(listener), listener);
        listener.write(Buffer.from("0"));
      },
      connect: (client) => rendezvous.connect(argument(client), client),
      accept(listener) {
        const client = rendezvous.accept(argument(listener));
        forward(client, listener);
        forward(listener, client);
      },
    });
    return new Promise((resolve, reject) => {
      server.bindAsync("127.0.0.1:0", ServerCredentials.createInsecure(), (error, port) => {
        if (error === null) resolve(port);
        else reject(error);
      });
    });
  },
  async listener(port) {
    const client = open(port);
    return {
      listen: (name, onStream) =>
        new Promise((resolve) => {
          call(client, "listen", name).on("data", (id: Buffer) => {
            if (id.toString() === "0") resolve();
            else onStream(benchStream(call(client, "accept", id.toString())));
          });
        }),
    };
  },
  async client(port) {
    const client = open(port);
    return { open: async (name) => benchStream(call(client, "connect", name)) };
  },
};
