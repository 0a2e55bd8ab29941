// A relay whose parent can ask what it holds. On SIGTERM it drains and exits with 0, as `bss serve` does.
import { StreamServerProxy, serveRelay } from "browser-stream-server/server";
import type { RelayAnswer, RelayOrder, RelayQuestion } from "./relay-child.ts";

const order = JSON.parse(process.argv[2] ?? "{}") as RelayOrder;
const proxy = StreamServerProxy({ limits: order.limits, tokenKeys: [order.tokenKey] });
const answer = (message: RelayAnswer) => void process.send?.(message);

// At no moment may two leases hold one name.
const held = new Set<string>();
proxy.on("server.created", (name) => {
  if (held.has(name)) answer({ kind: "problem", text: `two leases hold ${name}` });
  held.add(name);
});
proxy.on("server.destroyed", (name) => held.delete(name));
proxy.on("warning", ({ message }) => answer({ kind: "problem", text: `the relay warns: ${message}` }));

const server = await serveRelay({ proxy, port: order.port, host: "127.0.0.1" });
process.on("message", (question: RelayQuestion) => {
  if (question.collects) globalThis.gc?.();
  answer({ kind: "state", id: question.id, counts: { ...proxy.counts }, heapBytes: process.memoryUsage().heapUsed });
});
process.once("SIGTERM", async () => {
  process.once("SIGTERM", () => void server.close());
  await server.drain({ timeoutMs: order.drainTimeoutMs });
  process.disconnect();
});
// The parent has ended without a signal to this process.
process.on("disconnect", () => void server.close());
// Last, because the parent may send a signal as soon as it knows.
answer({ kind: "listening", port: server.port });
