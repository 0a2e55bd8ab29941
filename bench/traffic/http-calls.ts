import { once } from "node:events";
import { Agent, type IncomingMessage, get as request } from "node:http";
import { text } from "node:stream/consumers";
import { setTimeout as sleep } from "node:timers/promises";
import { sharedMs, shortBody } from "./http-handler.ts";

/** Reads server-sent events. Resolves with the time from the `enqueue` of each until its bytes were here, in ms. */
export async function readEvents(url: string): Promise<number[]> {
  const response = await get(url, new Agent());
  const delaysMs: number[] = [];
  let rest = "";
  response.setEncoding("utf8").on("data", (chunk: string) => {
    const arrivedMs = sharedMs();
    const events = `${rest}${chunk}`.split("\n\n");
    rest = events.pop() ?? "";
    for (const event of events) delaysMs.push(arrivedMs - Number(event.replace("data: ", "")));
  });
  await once(response, "end");
  return delaysMs;
}

/** Callers that each have a connection of their own. */
export interface CallersOrder {
  urls: readonly string[];
  callersPerUrl: number;
  /** The callers begin one after the other, within this time. */
  arrivalMs: number;
  /** Each calls a second time, this long after it was answered. */
  pauseMs: number;
}

export interface CallersResult {
  /** The time of each call, in ms, whether it was answered or not. */
  timesMs: number[];
  /** The calls that were not answered with the 100 bytes. */
  failedCalls: number;
  /** Why the first of them failed. */
  firstFailure: string | undefined;
}

/** Has all callers call twice. Never rejects. */
export async function callAll(order: CallersOrder): Promise<CallersResult> {
  const { urls, callersPerUrl, arrivalMs, pauseMs } = order;
  const callers = Array.from({ length: callersPerUrl }, () => urls).flat();
  const timesMs: number[] = [];
  const failures: string[] = [];
  const call = async (url: string, agent: Agent) => {
    const startedMs = performance.now();
    await expectShortAnswer(url, agent).catch((reason) => failures.push(String(reason)));
    timesMs.push(performance.now() - startedMs);
  };
  await Promise.all(
    callers.map(async (url, index) => {
      const agent = new Agent({ keepAlive: true, maxSockets: 1 });
      await sleep((arrivalMs * index) / callers.length);
      await call(url, agent);
      await sleep(pauseMs);
      await call(url, agent);
      agent.destroy();
    }),
  );
  return { timesMs, failedCalls: failures.length, firstFailure: failures[0] };
}

async function expectShortAnswer(url: string, agent: Agent): Promise<void> {
  const response = await get(url, agent);
  const body = await text(response);
  if (response.statusCode !== 200 || body !== shortBody) throw new Error(`${response.statusCode}: ${body}`);
}

async function get(url: string, agent: Agent): Promise<IncomingMessage> {
  const [response] = await once(request(url, { agent }), "response");
  return response;
}
