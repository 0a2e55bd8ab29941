import { systemClock } from "../stream/platform/system-clock.js";
import { StreamClient } from "../web/node.js";
import { createConnectEntry } from "./connect-entry.js";

export * from "./connect-exports.js";

export const { createStreamTransport } = createConnectEntry({ StreamClient }, systemClock);
