import { expect, test } from "vitest";
import { TokenBucket } from "../../../../server/admission/rates/token-bucket.js";
import { FakeClock } from "../../../fakes/fake-clock.js";

function taken(bucket: TokenBucket, earned?: () => number): number {
  let count = 0;
  while (bucket.take(earned)) count += 1;
  return count;
}

test("TokenBucket.take gives the burst at once, then what came with the time, and never more than the burst", () => {
  const clock = new FakeClock();
  const bucket = new TokenBucket(clock, { burst: 10, perSecond: 4 });
  expect(taken(bucket)).toBe(10);
  clock.advance(500);
  expect(taken(bucket)).toBe(2);
  clock.advance(249);
  expect(taken(bucket)).toBe(0);
  clock.advance(1);
  expect(taken(bucket)).toBe(1);
  clock.advance(60_000);
  expect(taken(bucket)).toBe(10);
});

test("TokenBucket.take gives what was earned beside the time", () => {
  const bucket = new TokenBucket(new FakeClock(), { burst: 10, perSecond: 1 });
  taken(bucket);
  const earned = [3, 0];
  expect(taken(bucket, () => earned.shift() ?? 0)).toBe(3);
});
