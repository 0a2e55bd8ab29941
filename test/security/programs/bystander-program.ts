// A well-behaved caller in a process of its own, which measures how the relay serves it while others attack.
import { createWebSocketTransport, StreamClient, StreamServer, type TransportLike } from "browser-stream-server";
import type { BystanderFigures, BystanderOrder, BystanderQuestion } from "./bystander.ts";
import { answerParent } from "./program-process.ts";

const pauseMs = 5;
const pairingPauseMs = 50;

const order = JSON.parse(process.argv[2] ?? "{}") as BystanderOrder;
const origin = `${order.isSecure ? "https" : "http"}://127.0.0.1:${order.port}`;
const access = { token: order.token };
let roundTripsMs: number[] = [];
let pairingsMs: number[] = [];

const pause = (ms: number) => new Promise((resolve) => setTimeout(resolve, ms));

/** Echoes on one stream for good. */
async function echo(transport: TransportLike, name: string): Promise<void> {
  const server = StreamServer(transport, access, (stream) => stream.pipe(stream)).listen(name);
  await server.ready;
  const stream = StreamClient(transport, access).connect(name);
  await stream.opened;
  const echoes = stream[Symbol.asyncIterator]();
  const goOn = async () => {
    for (let sent = 0; ; sent += 1) {
      const startedMs = performance.now();
      stream.write(`${sent}`);
      const { value } = await echoes.next();
      if (value !== `${sent}`) throw new Error(`${name} got ${value} for ${sent}`);
      roundTripsMs.push(performance.now() - startedMs);
      await pause(pauseMs);
    }
  };
  void goOn();
}

/** Connects to a listener again and again. */
async function pair(transport: TransportLike, name: string): Promise<void> {
  for (;;) {
    const startedMs = performance.now();
    const stream = StreamClient(transport, access).connect(name);
    await stream.opened;
    pairingsMs.push(performance.now() - startedMs);
    stream.end();
    for await (const _ of stream);
    await pause(pairingPauseMs);
  }
}

function figures(): BystanderFigures {
  const answer = { roundTripsMs: quantiles(roundTripsMs), pairingsMs: quantiles(pairingsMs) };
  roundTripsMs = [];
  pairingsMs = [];
  return answer;
}

function quantiles(samples: number[]): BystanderFigures["roundTripsMs"] {
  const sorted = samples.toSorted((a, b) => a - b);
  const at = (share: number) => sorted[Math.min(sorted.length - 1, Math.floor(share * sorted.length))] ?? Number.NaN;
  return { count: sorted.length, median: at(0.5), p99: at(0.99), max: at(1) };
}

// An end of a stream that nobody asked for is the failure of the test, by the exit of this process.
process.on("unhandledRejection", (error) => {
  console.error("the bystander was disturbed:", error);
  process.exit(1);
});
answerParent<BystanderQuestion, BystanderFigures>(figures);
const socket = createWebSocketTransport({ baseUrl: `${origin}/browser-server` });
await echo(socket, "bystander over a WebSocket");
await echo(origin, "bystander over HTTP/2");
void pair(origin, "bystander over a WebSocket");
process.send?.({});
