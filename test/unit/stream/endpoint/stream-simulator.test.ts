import fc from "fast-check";
import { expect, test } from "vitest";
import { Side, type Value } from "../../../fakes/endpoint/two-endpoints.js";

const windowBytes = 65_536;

const text = fc
  .tuple(fc.constantFrom("a", "é", "€", "😀", "aé€😀"), sizes(4))
  .map(([pattern, repeats]): Value => pattern.repeat(repeats));
const binary = fc
  .tuple(fc.nat(255), sizes(1))
  .map(([first, bytes]): Value => Uint8Array.from({ length: bytes }, (_, at) => first + at * 7));
const messages = fc.array(fc.oneof(text, binary), { maxLength: 10 });

/** The sizes of messages, from empty to several windows, divided by the bytes of a unit. */
function sizes(unitBytes: number): fc.Arbitrary<number> {
  const upTo = (bytes: number) => fc.nat(Math.floor(bytes / unitBytes));
  return fc.oneof(
    { weight: 1, arbitrary: fc.constant(0) },
    { weight: 5, arbitrary: upTo(300) },
    { weight: 3, arbitrary: upTo(20_000) },
    { weight: 1, arbitrary: upTo(3 * windowBytes) },
  );
}

const steps = ["write", "take", "deliver", "read", "repeat", "meet"] as const;
const schedule = fc.array(
  fc.record({ step: fc.constantFrom(...steps), who: fc.constantFrom(0, 1), times: fc.integer({ min: 1, max: 6 }) }),
  { maxLength: 120 },
);

const world = fc.record({
  messages: fc.tuple(messages, messages),
  maxFrameBytes: fc.tuple(frameSizes(), frameSizes()),
  windowBytes: fc.tuple(fc.constantFrom(windowBytes, 90_001), fc.constantFrom(windowBytes, 262_144)),
  acknowledgeEnd: fc.tuple(fc.constantFrom("received", "read"), fc.constantFrom("received", "read")),
  schedule,
});

function frameSizes(): fc.Arbitrary<number> {
  return fc.constantFrom(4_096, 5_001, 16_384, 65_536);
}

test("whatever is split, delayed, repeated or interleaved, what was written arrives, in order, within the credit", () => {
  fc.assert(
    fc.property(world, (init) => {
      const [a, b] = sidesOf(init);
      const check = () => {
        expectWithinBounds(a, init.windowBytes[1]);
        expectWithinBounds(b, init.windowBytes[0]);
        expect(a.largestFrameBytes).toBeLessThanOrEqual(init.maxFrameBytes[0]);
        expect(b.largestFrameBytes).toBeLessThanOrEqual(init.maxFrameBytes[1]);
      };
      for (const { step, who, times } of init.schedule) {
        const [self, other] = who === 0 ? [a, b] : [b, a];
        for (let nth = 0; nth < times; nth++) {
          perform(step, self, other, nth);
          check();
        }
      }
      runToTheEnd(a, b, check);
      expect(b.read).toEqual(init.messages[0]);
      expect(a.read).toEqual(init.messages[1]);
      expect([a.endpoint.state.kind, b.endpoint.state.kind]).toEqual(["closed", "closed"]);
    }),
    { seed: 20_120_401, numRuns: 150 },
  );
});

test("a reader that stops holds the sender to one window, and lets go of it when it reads again", () => {
  const written = Array.from({ length: 40 }, () => "x".repeat(10_000));
  const [a, b] = sidesOf({
    messages: [written, []],
    maxFrameBytes: [16_384, 16_384],
    windowBytes: [windowBytes, windowBytes],
    acknowledgeEnd: ["received", "received"],
  });
  while (a.write());
  while (moveFrames(a, b));
  expect(a.sentBytes).toBeGreaterThan((windowBytes * 3) / 4);
  expect(a.sentBytes).toBeLessThanOrEqual(windowBytes);
  runToTheEnd(a, b, () => expectWithinBounds(a, windowBytes));
  expect(b.read).toEqual(written);
});

interface World {
  messages: [Value[], Value[]];
  maxFrameBytes: [number, number];
  windowBytes: [number, number];
  acknowledgeEnd: ["received" | "read", "received" | "read"];
}

function sidesOf({ messages, maxFrameBytes, windowBytes, acknowledgeEnd }: World): [Side, Side] {
  const side = (at: 0 | 1) =>
    new Side({
      messages: messages[at],
      maxFrameBytes: maxFrameBytes[at],
      windowBytes: windowBytes[at],
      acknowledgeEnd: acknowledgeEnd[at],
    });
  return [side(0), side(1)];
}

function perform(step: (typeof steps)[number], self: Side, other: Side, nth: number): void {
  if (step === "write") self.write();
  if (step === "take") self.takeFrame();
  if (step === "deliver") self.deliverTo(other);
  if (step === "read") self.readFrom(other);
  if (step === "meet") self.meet(other);
  if (step === "repeat") self.repeatTo(other, nth * 7 + self.delivered.length);
}

/**
 * The cost of what a side has sent is within its credit, and its peer holds at most a window and a message unread.
 */
function expectWithinBounds(sender: Side, receiverWindowBytes: number): void {
  expect(sender.sentBytes).toBeLessThanOrEqual(sender.grantedBytes);
  expect(sender.inFlightBytes).toBeLessThanOrEqual(receiverWindowBytes + sender.largestCostBytes);
}

function moveFrames(a: Side, b: Side): boolean {
  const moves = [a.takeFrame(), b.takeFrame(), a.deliverTo(b), b.deliverTo(a)];
  return moves.includes(true);
}

/** Everybody does what they can, in turn; nobody may be left waiting for the other. */
function runToTheEnd(a: Side, b: Side, check: () => void): void {
  for (;;) {
    const moves = [a.write(), b.write(), a.readFrom(b), b.readFrom(a), moveFrames(a, b)];
    check();
    if (!moves.includes(true)) return;
  }
}
