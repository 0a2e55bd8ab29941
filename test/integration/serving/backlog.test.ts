import { readFileSync } from "node:fs";
import { Worker } from "node:worker_threads";
import { expect, test } from "vitest";
import { StreamServerProxy, serveRelay } from "../../../server/index.js";

const callers = 1_000;

/** Connects from a thread of its own, and counts the connections that the system has made. */
const program = `
const { connect } = require("node:net");
const { workerData: { port, callers, connected } } = require("node:worker_threads");
for (let index = 0; index < callers; index += 1) {
  connect({ port, host: "127.0.0.1" }, () => {
    Atomics.add(connected, 0, 1);
    Atomics.notify(connected, 0);
  });
}
`;

test("serveRelay loses none of a thousand connections that come while its process is busy", async () => {
  const relay = await serveRelay({ proxy: StreamServerProxy(), port: 0, host: "127.0.0.1" });
  const connected = new Int32Array(new SharedArrayBuffer(4));
  const worker = new Worker(program, { eval: true, workerData: { port: relay.port, callers, connected } });
  try {
    await new Promise((resolve) => worker.once("online", resolve));
    const systemLimit = Number(readFileSync("/proc/sys/net/core/somaxconn", "utf8"));
    const expected = Math.min(callers, systemLimit);
    // Nothing of this process runs meanwhile, so that all of them wait to be accepted.
    for (let seen = 0; seen < expected; seen = Atomics.load(connected, 0)) {
      if (Atomics.wait(connected, 0, seen, 5_000) === "timed-out") break;
    }
    expect(Atomics.load(connected, 0)).toBeGreaterThanOrEqual(expected);
  } finally {
    await worker.terminate();
    await relay.close();
  }
});
