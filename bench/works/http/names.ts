import { PartialFailure } from "../../measurement.ts";
import { quantile } from "../../statistics.ts";
import type { HttpWork } from "./http-work.ts";

const callersPerUrl = 10;

/** Many names of one relay, each with ten callers that have a connection each. */
export const httpNames: HttpWork = {
  name: "http-names",
  processes: "fresh",
  suits: ({ name }) => name === "gateway",
  async measure(trio, { calledNames, arrivalMs, pauseMs }) {
    const names = Array.from({ length: calledNames }, (_, index) => `name${index}`);
    await trio.answer(names);
    const urls = names.map((name) => trio.url("", name));
    const order = { urls, callersPerUrl, arrivalMs, pauseMs };
    const { timesMs, failedCalls, firstFailure } = await trio.caller.call.callAll(order);
    const values = { failedCalls, p50Ms: quantile(timesMs, 0.5), p99Ms: quantile(timesMs, 0.99) };
    if (failedCalls > 0)
      throw new PartialFailure(`${failedCalls} of ${timesMs.length} calls failed`, values, firstFailure);
    return values;
  },
};
