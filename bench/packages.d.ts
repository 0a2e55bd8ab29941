// These are the types of the yardsticks' packages, as far as the adapters use them. The packages' own types are not
// there when the gate checks types, because the project's `npm ci` does not install the packages.

declare module "socket.io" {
  export interface Socket {
    on(event: string, listener: (...values: never[]) => void): void;
    emit(event: string, ...values: unknown[]): boolean;
  }
  export class Server {
    constructor(server: import("node:http").Server, options: object);
    on(event: "connection", listener: (socket: Socket) => void): void;
  }
}

declare module "socket.io-client" {
  export interface ClientSocket {
    on(event: string, listener: (...values: never[]) => void): void;
    emit(event: string, ...values: unknown[]): unknown;
  }
  export function io(url: string, options: object): ClientSocket;
}

declare module "piping-server" {
  export class Server {
    generateHandler(
      useHttps: boolean,
    ): (request: import("node:http").IncomingMessage, response: import("node:http").ServerResponse) => void;
  }
}

declare module "mux-demux/msgpack.js" {
  interface MuxStream extends NodeJS.ReadWriteStream {
    meta: unknown;
  }
  interface Mux extends NodeJS.ReadWriteStream {
    createStream(meta: unknown): MuxStream;
    on(event: "connection", listener: (stream: MuxStream) => void): this;
    on(event: string, listener: (...values: never[]) => void): this;
  }
  export default function createMux(): Mux;
  export type { Mux, MuxStream };
}

declare module "@grpc/grpc-js" {
  type Options = Record<string, number>;
  interface Call {
    metadata: Metadata;
    write(message: Uint8Array): boolean;
    pause(): void;
    resume(): void;
    end(): void;
    on(event: string, listener: (...values: never[]) => void): void;
    once(event: string, listener: (...values: never[]) => void): void;
  }
  export class Metadata {
    set(key: string, value: string): void;
    get(key: string): (string | Buffer)[];
  }
  export interface MethodDefinition {
    path: string;
    requestStream: boolean;
    responseStream: boolean;
    requestSerialize(message: Uint8Array): Buffer;
    requestDeserialize(bytes: Buffer): Buffer;
    responseSerialize(message: Uint8Array): Buffer;
    responseDeserialize(bytes: Buffer): Buffer;
  }
  export class Server {
    constructor(options: Options);
    addService(service: Record<string, MethodDefinition>, implementation: Record<string, (call: Call) => void>): void;
    bindAsync(address: string, credentials: unknown, callback: (error: Error | null, port: number) => void): void;
  }
  export interface Client {
    [method: string]: (metadata: Metadata) => Call;
  }
  export function makeGenericClientConstructor(
    service: Record<string, MethodDefinition>,
    name: string,
  ): new (
    address: string,
    credentials: unknown,
    options: Options,
  ) => Client;
  export const credentials: { createInsecure(): unknown };
  export const ServerCredentials: { createInsecure(): unknown };
  export type { Call };
}

declare module "http-proxy" {
  interface Proxy {
    web(
      request: import("node:http").IncomingMessage,
      response: import("node:http").ServerResponse,
      options: { target: string },
    ): void;
  }
  const proxies: { createProxyServer(options: { agent: import("node:http").Agent }): Proxy };
  export default proxies;
}
