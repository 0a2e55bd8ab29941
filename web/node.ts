import type { InputOf, RawMessage } from "../stream/codec.js";
import { systemClock } from "../stream/platform/system-clock.js";
import { createEntry } from "./api/entry.js";
import type { StreamClient as Client } from "./api/stream-client.js";
import type { StreamServer as Server } from "./api/stream-server.js";
import { openNodeTransport } from "./node/node-transport.js";
import { Transports } from "./transport/transports.js";

export * from "./exports.js";
export { createWebSocketTransport } from "./node/node-websocket.js";

const transports = new Transports(openNodeTransport, systemClock);

// Unlike a write to standard error, this fails silently where nobody reads it any more.
export const { StreamServer, StreamClient } = createEntry(transports, systemClock, (line) => console.error(line));
export type StreamServer<Out = RawMessage, In = InputOf<Out>> = Server<Out, In>;
export type StreamClient<Out = RawMessage, In = InputOf<Out>> = Client<Out, In>;
