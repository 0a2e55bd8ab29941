import { readFileSync } from "node:fs";
import type { Contender, HttpContender } from "./contender.ts";

export type ContenderName =
  | "connect"
  | "grpc"
  | "websocket"
  | "fetch"
  | "net-pipe"
  | "http2-pipe"
  | "ws"
  | "ws-paused"
  | "socket.io"
  | "piping-server"
  | "mux-demux"
  | "grpc-js"
  | "gateway"
  | "gateway-tab"
  | "stream"
  | "stream-tab"
  | "http-proxy";

export interface ContenderEntry {
  name: ContenderName;
  /** The name in tables. */
  title: string;
  isOurs: boolean;
  /** The packages of `bench/package.json` that the contender needs. */
  packages: readonly string[];
  /** Options of Node for the relay's process. */
  relayFlags: readonly string[];
  load(): Promise<{ serve(): Promise<number> }>;
}

/** A contender in the works of streams. */
export interface StreamContenderEntry extends ContenderEntry {
  /**
   * The most streams that its relay can hold on a usual machine, which gives a process some 20,000 file descriptors. A
   * contender with sockets of its own for each stream takes two.
   */
  maxStreams: number;
  /** Whether a reader can make a sender stop. */
  hasBackpressure: boolean;
  /** Whether the works with ten thousand names or streams measure it too, which takes long. */
  isMeasuredInThousands: boolean;
  /** Whether it has endpoints that run in a page too. */
  hasPage: boolean;
  load(): Promise<Contender>;
}

/** The arguments that `npm start` gives to Node. The bench starts the relay of this package with the same options. */
export function startArguments(): string[] {
  const { scripts } = JSON.parse(readFileSync(new URL("../package.json", import.meta.url), "utf8"));
  const words = (scripts.start as string).split(" ");
  return words.slice(words.indexOf("node") + 1);
}

const maxStreamsOfSockets = 8_000;
const maxStreamsOfStreams = 100_000;

/** A contender in the works of HTTP. */
export interface HttpContenderEntry extends ContenderEntry {
  /** Whether a tab of Chromium answers, and no process. */
  isInTab: boolean;
  /** Its URL's path of a name. Undefined for streams, which have no URL. */
  path?(name: string): string;
  load(): Promise<HttpContender>;
}

type Details = Partial<StreamContenderEntry> & Pick<StreamContenderEntry, "load">;

const ourRelay = () => ({ isOurs: true, relayFlags: startArguments().filter((word) => word.startsWith("--")) });

function ours(name: ContenderName, title: string, details: Details): StreamContenderEntry {
  return { ...yardstick(name, title, details), ...ourRelay() };
}

function yardstick(name: ContenderName, title: string, details: Details): StreamContenderEntry {
  return {
    name,
    title,
    isOurs: false,
    packages: [],
    relayFlags: [],
    maxStreams: maxStreamsOfStreams,
    hasBackpressure: true,
    isMeasuredInThousands: false,
    hasPage: false,
    ...details,
  };
}

/** The contenders in the works of streams, in the order of the tables. */
export const streamContenders: readonly StreamContenderEntry[] = [
  ours("connect", "this package, HTTP/2, Connect", {
    isMeasuredInThousands: true,
    load: async () => (await import("./contenders/ours/connect.ts")).connect,
  }),
  ours("grpc", "this package, HTTP/2, gRPC", {
    load: async () => (await import("./contenders/ours/grpc.ts")).grpc,
  }),
  ours("websocket", "this package, WebSocket link", {
    isMeasuredInThousands: true,
    hasPage: true,
    load: async () => (await import("./contenders/ours/websocket.ts")).websocket,
  }),
  ours("fetch", "this package, fetch link", {
    load: async () => (await import("./contenders/ours/fetch.ts")).fetch,
  }),
  yardstick("net-pipe", "bare `node:net` pipe", {
    maxStreams: maxStreamsOfSockets,
    load: async () => (await import("./contenders/yardsticks/net-pipe.ts")).netPipe,
  }),
  yardstick("http2-pipe", "bare `node:http2` pipe", {
    isMeasuredInThousands: true,
    load: async () => (await import("./contenders/yardsticks/http2-pipe.ts")).http2Pipe,
  }),
  yardstick("ws", "`ws`, with bufferutil", {
    packages: ["ws", "bufferutil"],
    maxStreams: maxStreamsOfSockets,
    isMeasuredInThousands: true,
    hasPage: true,
    load: async () => (await import("./contenders/yardsticks/ws.ts")).ws,
  }),
  yardstick("ws-paused", "`ws`, paused under pressure", {
    packages: ["ws", "bufferutil"],
    maxStreams: maxStreamsOfSockets,
    load: async () => (await import("./contenders/yardsticks/ws.ts")).wsPaused,
  }),
  yardstick("socket.io", "socket.io", {
    packages: ["socket.io", "socket.io-client"],
    hasBackpressure: false,
    isMeasuredInThousands: true,
    hasPage: true,
    load: async () => (await import("./contenders/yardsticks/socket-io.ts")).socketIo,
  }),
  yardstick("piping-server", "piping-server", {
    packages: ["piping-server"],
    maxStreams: maxStreamsOfSockets / 2,
    load: async () => (await import("./contenders/yardsticks/piping-server.ts")).pipingServer,
  }),
  yardstick("mux-demux", "mux-demux, msgpack", {
    packages: ["mux-demux"],
    load: async () => (await import("./contenders/yardsticks/mux-demux.ts")).muxDemux,
  }),
  yardstick("grpc-js", "grpc-js", {
    packages: ["@grpc/grpc-js"],
    load: async () => (await import("./contenders/yardsticks/grpc-js.ts")).grpcJs,
  }),
];

const gateway = {
  ...ourRelay(),
  packages: [],
  path: (name: string) => `/~/${name}/`,
  load: async () => (await import("./contenders/ours/gateway.ts")).gateway,
};
const plainStream = {
  ...ourRelay(),
  packages: [],
  load: async () => (await import("./contenders/ours/gateway.ts")).plainStream,
};

/** The contenders in the works of HTTP, in the order of the tables. */
export const httpContenders: readonly HttpContenderEntry[] = [
  { ...gateway, name: "gateway", title: "this package, gateway to Node", isInTab: false },
  { ...gateway, name: "gateway-tab", title: "this package, gateway to a tab", isInTab: true },
  { ...plainStream, name: "stream", title: "this package, a stream from Node", isInTab: false },
  { ...plainStream, name: "stream-tab", title: "this package, a stream from a tab", isInTab: true },
  {
    name: "http-proxy",
    title: "`http-proxy` to Node",
    isOurs: false,
    packages: ["http-proxy"],
    relayFlags: [],
    isInTab: false,
    path: () => "/",
    load: async () => (await import("./contenders/yardsticks/http-proxy.ts")).httpProxy,
  },
];

/** All contenders, in the order of the tables. */
export const contenders: readonly ContenderEntry[] = [...streamContenders, ...httpContenders];

export const findContender = (name: string): ContenderEntry => find(contenders, name);
export const findStreamContender = (name: string): StreamContenderEntry => find(streamContenders, name);
export const findHttpContender = (name: string): HttpContenderEntry => find(httpContenders, name);

function find<Entry extends ContenderEntry>(all: readonly Entry[], name: string): Entry {
  const found = all.find((each) => each.name === name);
  if (found === undefined) throw new Error(`no such contender: ${name}`);
  return found;
}
