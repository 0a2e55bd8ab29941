import type { Clock } from "../../stream/platform/clock.js";
import { Condition } from "../../stream/platform/deferred.js";

/** The value that `withHeartbeat` yields between the events of a quiet call. */
export const heartbeat: unique symbol = Symbol("heartbeat");

/** Yields the values of `source`, and a heartbeat whenever it has yielded nothing for `intervalMs`. */
export async function* withHeartbeat<T>(
  source: AsyncIterator<T, unknown>,
  clock: Clock,
  intervalMs: number,
): AsyncGenerator<T | typeof heartbeat, void, undefined> {
  const changed = new Condition();
  let arrived: (() => IteratorResult<T, unknown>) | undefined;
  const ask = () => {
    arrived = undefined;
    source.next().then(
      (result) => {
        arrived = () => result;
        changed.notify();
      },
      (reason: unknown) => {
        arrived = () => {
          throw reason;
        };
        changed.notify();
      },
    );
  };
  ask();
  for (;;) {
    if (arrived === undefined) {
      const cancel = clock.after(intervalMs, () => changed.notify());
      await changed.changed();
      cancel();
    }
    const result = arrived?.();
    if (result?.done) return;
    if (result === undefined) {
      yield heartbeat;
      continue;
    }
    yield result.value;
    ask();
  }
}
