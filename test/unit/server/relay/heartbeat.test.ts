import { expect, test } from "vitest";
import { heartbeat, withHeartbeat } from "../../../../server/relay/heartbeat.js";
import { Condition } from "../../../../stream/platform/deferred.js";
import { Fifo } from "../../../../stream/platform/fifo.js";
import { FakeClock } from "../../../fakes/fake-clock.js";
import { rejection, settled } from "../../../fakes/outcome.js";

/** A source in the test's hand, and what comes out with heartbeats every second. */
function beating() {
  const clock = new FakeClock();
  const queue = new Fifo<() => string | undefined>();
  const changed = new Condition();
  async function* source() {
    for (;;) {
      const next = queue.shift();
      if (next === undefined) {
        await changed.changed();
        continue;
      }
      const value = next();
      if (value === undefined) return;
      yield value;
    }
  }
  const say = (next: () => string | undefined) => {
    queue.push(next);
    changed.notify();
  };
  const heard: unknown[] = [];
  const ended = (async () => {
    for await (const event of withHeartbeat(source(), clock, 1_000)) heard.push(event);
  })();
  return { clock, say, heard, ended };
}

test("a quiet source beats at intervals", async () => {
  const { clock, heard } = beating();
  await settled();
  clock.advance(999);
  await settled();
  expect(heard).toEqual([]);
  for (let beat = 0; beat < 3; beat++) {
    clock.advance(beat === 0 ? 1 : 1_000);
    await settled();
  }
  expect(heard).toEqual([heartbeat, heartbeat, heartbeat]);
});

test("what the source says counts as a beat, and none of it is lost or doubled", async () => {
  const { clock, say, heard } = beating();
  await settled();
  clock.advance(900);
  say(() => "a");
  await settled();
  clock.advance(900);
  await settled();
  expect(heard).toEqual(["a"]);
  clock.advance(100);
  await settled();
  say(() => "b");
  say(() => "c");
  await settled();
  expect(heard).toEqual(["a", heartbeat, "b", "c"]);
});

test("a source that ends ends the beating, and leaves no timer", async () => {
  const { clock, say, heard, ended } = beating();
  say(() => undefined);
  await ended;
  clock.advance(10_000);
  expect(heard).toEqual([]);
  expect(clock.timers).toBe(0);
});

test("a source that fails fails whoever listens, and leaves no timer", async () => {
  const { clock, say, ended } = beating();
  const failed = rejection(ended);
  await settled();
  say(() => {
    throw new RangeError("odd");
  });
  expect((await failed).message).toBe("odd");
  expect(clock.timers).toBe(0);
});
