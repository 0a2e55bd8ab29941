import { EventEmitter } from "node:events";
import { Code, type Transport } from "@connectrpc/connect";
import { describe, expect, test, vi } from "vitest";
import { StreamPool } from "../../../../server/gateway/stream-pool.js";
import { FakeClock } from "../../../fakes/fake-clock.js";
import { rejection } from "../../../fakes/outcome.js";

/** A pool whose streams all wait for their listener. */
function suspendedPool(): { pool: StreamPool; clock: FakeClock } {
  const clock = new FakeClock();
  const caller = { origin: "", address: "192.0.2.1", door: "gateway" } as const;
  const pool = new StreamPool({ name: "a", caller, clock, transport: {} as Transport, onEmpty() {} });
  vi.spyOn(pool, "isSuspended", "get").mockReturnValue(true);
  return { pool, clock };
}

describe("StreamPool.back", () => {
  test("rejects when the caller leaves, and keeps no timer", async () => {
    const { pool, clock } = suspendedPool();
    const response = new EventEmitter();
    const waiting = pool.back(clock, { timeoutMs: 1_000, response });
    response.emit("close");
    expect(await rejection(waiting)).toMatchObject({ code: Code.Canceled });
    expect(clock.timers).toBe(0);
  });

  test("rejects when the time is over", async () => {
    const { pool, clock } = suspendedPool();
    const waiting = pool.back(clock, { timeoutMs: 1_000, response: new EventEmitter() });
    clock.advance(1_000);
    expect(await rejection(waiting)).toMatchObject({ code: Code.DeadlineExceeded });
  });
});
