import { systemClock } from "../stream/platform/system-clock.js";
import { StreamClient, StreamServer } from "../web/index.js";
import { createHttpEntry } from "./entry.js";

export * from "./exports.js";

export const { serve, createFetch } = createHttpEntry({ StreamServer, StreamClient }, systemClock);
