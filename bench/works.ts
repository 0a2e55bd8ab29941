import { bulk } from "./works/bulk.ts";
import { curve } from "./works/curve.ts";
import { httpDownload } from "./works/http/download.ts";
import { httpEvents } from "./works/http/events.ts";
import type { HttpWork } from "./works/http/http-work.ts";
import { httpMemory } from "./works/http/memory.ts";
import { httpNames } from "./works/http/names.ts";
import { httpRequests } from "./works/http/requests.ts";
import { idleListeners } from "./works/idle-listeners.ts";
import { idleStreams } from "./works/idle-streams.ts";
import { manyStreams } from "./works/many-streams.ts";
import { pairing } from "./works/pairing.ts";
import { ping } from "./works/ping.ts";
import { small } from "./works/small.ts";
import { stoppedReader } from "./works/stopped-reader.ts";
import type { Work } from "./works/work.ts";

/** All works of streams between processes of Node. */
export const works: readonly Work[] = [
  bulk,
  small,
  ping,
  pairing,
  manyStreams,
  idleStreams,
  stoppedReader,
  idleListeners,
  curve,
];

/** All works of HTTP. */
export const httpWorks: readonly HttpWork[] = [httpRequests, httpDownload, httpEvents, httpMemory, httpNames];
