import type { InputOf, RawMessage } from "../stream/codec.js";
import { createEntry } from "./entry.js";
import { openPageTransport } from "./page-transport.js";
import type { StreamClient as Client } from "./stream-client.js";
import type { StreamServer as Server } from "./stream-server.js";
import { systemClock } from "./system-clock.js";
import { Transports } from "./transports.js";

export * from "./exports.js";

const transports = new Transports(openPageTransport, systemClock);

export const { StreamServer, StreamClient } = createEntry(transports, systemClock);
export type StreamServer<Out = RawMessage, In = InputOf<Out>> = Server<Out, In>;
export type StreamClient<Out = RawMessage, In = InputOf<Out>> = Client<Out, In>;
