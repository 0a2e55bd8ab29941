import type { Clock } from "../stream/platform/clock.js";

/** Calls `action` every `intervalMs`, until the returned function is called. No process stays alive for it. */
export function atIntervals(clock: Clock, intervalMs: number, action: () => void): () => void {
  const run = () => {
    // The timer is set before the action runs, because the action may stop it.
    cancel = clock.after(intervalMs, run, false);
    action();
  };
  let cancel = clock.after(intervalMs, run, false);
  return () => cancel();
}
