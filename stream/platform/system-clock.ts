import type { Clock } from "./clock.js";

/** The longest time that timers take, in milliseconds: those that are to run later run at once. */
export const maxTimerMs = 2_147_483_647;

/** The platform's clock and timers; one that is to run after more than 24 days runs then. */
export const systemClock: Clock = {
  now: () => performance.now(),
  after(delayMs, action, keepsAlive = true) {
    const timer = setTimeout(action, Math.min(delayMs, maxTimerMs));
    // A browser's timer is a number, and keeps nothing alive.
    if (!keepsAlive) (timer as { unref?: () => void }).unref?.();
    return () => clearTimeout(timer);
  },
};
