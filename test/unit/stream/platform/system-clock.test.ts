import { afterEach, beforeEach, expect, test, vi } from "vitest";
import { StreamError } from "../../../../stream/error/stream-error.js";
import { systemClock } from "../../../../stream/platform/system-clock.js";
import { loneLink, newWatch } from "../../../fakes/links.js";
import { settled } from "../../../fakes/outcome.js";

/** The longest that a timer takes. */
const maxTimerMs = 2_147_483_647;

beforeEach(() => void vi.useFakeTimers({ toFake: ["setTimeout", "clearTimeout", "performance"] }));
afterEach(() => void vi.useRealTimers());

test.each([Number.POSITIVE_INFINITY, maxTimerMs + 1])(
  "what is to happen after %d ms does not happen at once",
  (delayMs) => {
    let times = 0;
    systemClock.after(delayMs, () => {
      times += 1;
    });
    vi.advanceTimersByTime(maxTimerMs - 1);
    expect(times).toBe(0);
    vi.advanceTimersByTime(1);
    expect(times).toBe(1);
  },
);

test("a link whose heartbeats are further apart than a timer takes is lost when it is silent, and not before", async () => {
  const { link } = loneLink();
  const heartbeatIntervalMs = 4_294_967_295;
  newWatch(link, systemClock, heartbeatIntervalMs);
  vi.advanceTimersByTime(2.5 * heartbeatIntervalMs - 1);
  expect(link.isOpen).toBe(true);
  vi.advanceTimersByTime(2);
  expect(link.isOpen).toBe(false);
  link.close(new StreamError("over"));
  await settled();
});
