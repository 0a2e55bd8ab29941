import type { Clock } from "../../stream/clock.js";

/** Calls `action` again and again. Returns what stops it. */
export function atIntervals(clock: Clock, intervalMs: number, action: () => void): () => void {
  const run = () => {
    // First, for the action may stop it.
    cancel = clock.after(intervalMs, run);
    action();
  };
  let cancel = clock.after(intervalMs, run);
  return () => cancel();
}
