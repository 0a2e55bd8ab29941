import { expect, test } from "vitest";
import { atIntervals } from "../../../link/at-intervals.js";
import { FakeClock } from "../../fakes/fake-clock.js";

test("the action comes at each interval, until it is stopped", () => {
  const clock = new FakeClock();
  const calledMs: number[] = [];
  const stop = atIntervals(clock, 10, () => calledMs.push(Math.floor(clock.now())));
  clock.advance(35);
  stop();
  clock.advance(100);
  expect(calledMs).toEqual([10, 20, 30]);
  expect(clock.timers).toBe(0);
});

test("the action itself may stop it", () => {
  const clock = new FakeClock();
  let calls = 0;
  const stop = atIntervals(clock, 10, () => {
    calls += 1;
    if (calls === 2) stop();
  });
  clock.advance(100);
  expect(calls).toBe(2);
  expect(clock.timers).toBe(0);
});
