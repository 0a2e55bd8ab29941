import { quantile } from "../../statistics.ts";
import { eventsPath } from "../../traffic/http-handler.ts";
import type { HttpWork } from "./http-work.ts";

const intervalMs = 20;

/** Server-sent events, one after the other: the time from `enqueue` until the bytes are at the caller. */
export const httpEvents: HttpWork = {
  name: "http-events",
  processes: "shared",
  suits: ({ name }) => name.startsWith("gateway"),
  async measure(trio, { events }) {
    const delaysMs = await trio.caller.call.readEvents(trio.url(eventsPath(events, intervalMs)));
    if (delaysMs.length !== events) throw new Error(`${delaysMs.length} of ${events} events came`);
    return { p50Ms: quantile(delaysMs, 0.5), maxMs: Math.max(...delaysMs) };
  },
};
