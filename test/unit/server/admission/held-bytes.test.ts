import { describe, expect, test } from "vitest";
import { Failure } from "../../../../gen/streamserver/v1/failure_pb.js";
import type { Caller } from "../../../../server/admission/caller.js";
import {
  HeldBytes,
  type Holder,
  lookIntervalMs,
  maxEndsPerTurn,
  tightLookIntervalMs,
} from "../../../../server/admission/held-bytes.js";
import { StreamError } from "../../../../stream/error/stream-error.js";
import { FakeClock } from "../../../fakes/fake-clock.js";

const limits = { maxHeldBytes: 6_400, maxHeldBytesPerCaller: 3_200 };

/** A holder in the test's hand, of a caller at an address. */
class TestHolder implements Holder {
  readonly caller: Caller;
  passedBytes = 0;
  ended: StreamError | undefined;
  readonly #bytes: number;

  constructor(address: string, bytes: number) {
    this.caller = { origin: "", address, door: "http" };
    this.#bytes = bytes;
  }

  get heldBytes(): number {
    return this.ended === undefined ? this.#bytes : 0;
  }

  endHeld(error: StreamError): void {
    this.ended = error;
  }
}

function heldBytes(given: Partial<typeof limits> = {}) {
  const clock = new FakeClock();
  const all = { ...limits, ...given };
  const held = new HeldBytes({
    limits: all,
    clock,
    full: (name, message) =>
      new StreamError(message, { failure: Failure.LIMIT_REACHED, limit: { name, value: all[name], retryAfterMs: 0 } }),
  });
  const add = (address: string, bytes: number) => {
    const holder = new TestHolder(address, bytes);
    held.received(1);
    return Object.assign(holder, { stop: held.add(holder) });
  };
  /** Lets the relay look twice, so that it knows who stands still. */
  const look = () => clock.advance(lookIntervalMs + tightLookIntervalMs);
  return { held, clock, add, look };
}

const isOver = ({ ended }: TestHolder) => ended !== undefined;

describe("HeldBytes", () => {
  test("ends nothing as long as there is room", () => {
    const { held, add, look } = heldBytes();
    const all = ["192.0.2.1", "192.0.2.2"].map((address) => add(address, 3_200));
    look();
    expect(all.map(isOver)).toEqual([false, false]);
    expect(held.bytes).toBe(6_400);
  });

  test("ends the heaviest of the heaviest caller, until an eighth is free, and tells it which limit", () => {
    const { held, add, look } = heldBytes();
    const heavy = [400, 900, 800, 700].map((bytes) => add("192.0.2.1", bytes));
    const others = [1_500, 1_200, 1_000].map((bytes, at) => add(`192.0.2.${2 + at}`, bytes));
    look();
    expect(heavy.map(isOver)).toEqual([false, true, false, false]);
    expect(others.map(isOver)).toEqual([false, false, false]);
    expect(held.bytes).toBe(5_600);
    const limit = { name: "maxHeldBytes", value: 6_400 };
    expect(heavy[1]?.ended).toMatchObject({ failure: Failure.LIMIT_REACHED, limit });
  });

  test("takes callers of this machine one by one", () => {
    const { add, look } = heldBytes();
    const local = Array.from({ length: 18 }, () => add("127.0.0.1", 300));
    const heavy = add("192.0.2.1", 1_100);
    look();
    expect([local.some(isOver), isOver(heavy)]).toEqual([false, true]);
  });

  test("spares a holder whose bytes go on as long as another one stands still", () => {
    const { clock, add } = heldBytes();
    const fast = add("192.0.2.1", 3_100);
    const stalled = add("192.0.2.2", 500);
    clock.advance(lookIntervalMs);
    const late = add("192.0.2.3", 3_000);
    fast.passedBytes += 1;
    clock.advance(tightLookIntervalMs);
    expect([fast, stalled, late].map(isOver)).toEqual([false, true, false]);
  });

  test("ends what is the heaviest if nothing stands still", () => {
    const { clock, add } = heldBytes();
    const all = [3_000, 3_100, 1_000].map((bytes, at) => add(`192.0.2.${at}`, bytes));
    clock.advance(lookIntervalMs);
    expect(all.map(isOver)).toEqual([false, true, false]);
  });

  test("ends the heaviest of a caller that holds more than its share, though there is room", () => {
    const { add, look } = heldBytes();
    const greedy = [1_000, 1_400, 900].map((bytes) => add("192.0.2.1", bytes));
    look();
    expect(greedy.map(isOver)).toEqual([false, true, false]);
    const limit = { name: "maxHeldBytesPerCaller", value: 3_200 };
    expect(greedy[1]?.ended).toMatchObject({ failure: Failure.LIMIT_REACHED, limit });
  });

  test("looks in the next turn if a quarter of the room has come since the last look", () => {
    const { held, clock, add } = heldBytes();
    const all = [3_300, 100].map((bytes) => add("192.0.2.1", bytes));
    held.received(1_598);
    clock.advance(0);
    expect(all.map(isOver)).toEqual([false, false]);
    held.received(1);
    expect(all.map(isOver)).toEqual([false, false]);
    clock.advance(1);
    expect(all.map(isOver)).toEqual([true, false]);
  });

  test("ends so many in a turn, and the rest in the next ones", () => {
    const { clock, add } = heldBytes();
    const all = Array.from({ length: 3 * maxEndsPerTurn }, () => add("127.0.0.1", 400));
    const ended: number[] = [];
    clock.after(lookIntervalMs, () => ended.push(all.filter(isOver).length));
    clock.advance(lookIntervalMs);
    expect([...ended, all.filter(isOver).length]).toEqual([maxEndsPerTurn, 2 * maxEndsPerTurn]);
  });

  test("keeps no timer as long as nothing is held, and looks again when something is", () => {
    const { held, clock, add } = heldBytes();
    const first = add("192.0.2.1", 100);
    expect([clock.timers, clock.keepsAlive]).toEqual([1, false]);
    first.stop();
    expect(clock.timers).toBe(0);
    const empty = add("192.0.2.1", 0);
    clock.advance(lookIntervalMs);
    expect(clock.timers).toBe(0);
    const second = add("192.0.2.1", 3_300);
    clock.advance(lookIntervalMs);
    expect([isOver(second), isOver(empty)]).toEqual([true, false]);
    held.received(1);
    clock.advance(lookIntervalMs);
    expect(clock.timers).toBe(0);
  });
});
