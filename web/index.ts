import type { InputOf, RawMessage } from "../stream/codec.js";
import { systemClock } from "../stream/platform/system-clock.js";
import { createEntry } from "./api/entry.js";
import type { StreamClient as Client } from "./api/stream-client.js";
import type { StreamServer as Server } from "./api/stream-server.js";
import { openPageTransport } from "./transport/page-transport.js";
import { Transports } from "./transport/transports.js";

export * from "./exports.js";
export { createWebSocketTransport } from "./transport/websocket-transport.js";

const transports = new Transports(openPageTransport, systemClock);

export const { StreamServer, StreamClient } = createEntry(transports, systemClock, (line, error) =>
  console.error(line, error),
);
export type StreamServer<Out = RawMessage, In = InputOf<Out>> = Server<Out, In>;
export type StreamClient<Out = RawMessage, In = InputOf<Out>> = Client<Out, In>;
