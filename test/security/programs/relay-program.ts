// A server to attack, in a process of its own: the relay, or a bare server of Node's for comparison.
import { createServer as createHttp1Server } from "node:http";
import { createServer as createHttp2Server } from "node:http2";
import type { AddressInfo } from "node:net";
import { monitorEventLoopDelay } from "node:perf_hooks";
import {
  type RelayCounts,
  type RelayWarning,
  StreamServerProxy,
  serveRelay,
  tokenPolicy,
} from "browser-stream-server/server";
import { WebSocketServer } from "ws";
import { answerParent } from "./program-process.ts";
import type { ServerOrder, ServerQuestion, ServerState } from "./server-process.ts";

const loopResolutionMs = 5;
/** Turns of the loop and collections after which nothing is left that waited for a turn. */
const collections = 3;

const order = JSON.parse(process.argv[2] ?? "{}") as ServerOrder;
const warnings: RelayWarning["kind"][] = [];
const loop = monitorEventLoopDelay({ resolution: loopResolutionMs });

async function openRelay(): Promise<{ port: number; counts: () => RelayCounts }> {
  const { limits, secret, servesAdmin } = order;
  const proxy = StreamServerProxy({
    prefix: ["/browser-server", ""],
    limits,
    authorize: secret === undefined ? undefined : tokenPolicy({ secret }),
    admin: servesAdmin ? () => ({}) : undefined,
  });
  proxy.on("warning", ({ kind }) => warnings.push(kind));
  const { port } = await serveRelay({ proxy, port: 0, host: "127.0.0.1", tls: order.tls });
  return { port, counts: () => proxy.counts };
}

async function openBare(): Promise<{ port: number }> {
  const http1 = createHttp1Server((request, response) => request.resume().once("end", () => response.end("bare")));
  // Without a listener for errors, a frame that breaks the rules ends the process.
  if (order.kind === "ws") new WebSocketServer({ server: http1 }).on("connection", (ws) => ws.on("error", () => {}));
  const http2 = createHttp2Server((request, response) => request.resume().once("end", () => response.end("bare")));
  const server = order.kind === "node:http2" ? http2 : http1;
  await new Promise<void>((resolve) => server.listen(0, "127.0.0.1", resolve));
  return { port: (server.address() as AddressInfo).port };
}

const server: { port: number; counts?: () => RelayCounts } =
  order.kind === "relay" ? await openRelay() : await openBare();
loop.enable();
process.on("uncaughtException", (error) => {
  console.error(error);
  process.exit(1);
});
answerParent<ServerQuestion, ServerState>(async ({ collects }) => {
  for (let times = 0; collects && times < collections; times += 1) {
    await new Promise((resolve) => setImmediate(resolve));
    globalThis.gc?.();
  }
  const { heapUsed, external } = process.memoryUsage();
  const state: ServerState = {
    counts: server.counts?.(),
    heldBytes: heapUsed + external,
    longestTurnMs: Math.max(0, loop.max / 1_000_000 - loopResolutionMs),
    warnings: warnings.splice(0),
  };
  loop.reset();
  return state;
});
process.send?.({ port: server.port });
