import fc from "fast-check";
import { describe, expect, test } from "vitest";
import { ReceiveCredit } from "../../../../stream/endpoint/receive-credit.js";
import { CreditedWire, type CreditedWireInit } from "../../../fakes/endpoint/credited-wire.js";

const steps = ["send", "deliver", "read", "grant", "deliverGrant", "repeatGrant"] as const;
const schedule = fc.array(
  fc.record({ step: fc.constantFrom(...steps), times: fc.integer({ min: 1, max: 5 }), at: fc.nat(50) }),
  { maxLength: 100, size: "max" },
);

/**
 * Any window, with pieces and grants that are of use together: once everything is read and less than `minGrantBytes`
 * can be granted, there is room for a piece.
 */
const sizes = fc.integer({ min: 2, max: 300_000 }).chain((windowBytes) =>
  fc.integer({ min: 1, max: windowBytes - 1 }).chain((maxPieceBytes) =>
    fc.record({
      windowBytes: fc.constant(windowBytes),
      initialBytes: fc.oneof(fc.constant(windowBytes), fc.integer({ min: 0, max: windowBytes })),
      maxPieceBytes: fc.constant(maxPieceBytes),
      minGrantBytes: fc.integer({ min: 1, max: windowBytes - maxPieceBytes + 1 }),
      // From less than a piece to several windows.
      messages: fc.array(fc.integer({ min: 1, max: 30 * maxPieceBytes }), { maxLength: 12 }),
    }),
  ),
);

const world = fc.record({
  sizes,
  reads: fc.constantFrom("pieces", "messages"),
  maxWidenings: fc.nat(3),
  /** In windows, so that it runs out before or after the window is as wide as it may be. */
  allowance: fc.nat(10),
  schedule,
});

describe("SendCredit and ReceiveCredit", () => {
  test("never let more be sent than was granted, nor more be granted than the window, and never come to a halt", () => {
    fc.assert(
      fc.property(world, ({ sizes, reads, maxWidenings, allowance, schedule }) => {
        let leftBytes = allowance * sizes.windowBytes;
        const take = (bytes: number) => {
          if (bytes > leftBytes) return false;
          leftBytes -= bytes;
          return true;
        };
        const init = { ...sizes, reads, take, maxWindowBytes: sizes.windowBytes * 2 ** maxWidenings };
        const wire = new CreditedWire(init);
        const check = () => expectWithinCredit(wire, init);
        for (const { step, times, at } of schedule) {
          for (let nth = 0; nth < times; nth++) {
            // The owner may grant earlier than it has to, as along with data.
            wire[step](step === "grant" ? 1 + ((at * nth) % init.minGrantBytes) : at + nth);
            check();
          }
        }
        wire.runToTheEnd(check);
        expect(wire.readBytes).toBe(sum(init.messages));
        expect(wire.windowBytes - init.windowBytes).toBe(allowance * init.windowBytes - leftBytes);
        expectExceeded(wire, init);
      }),
      { seed: 20_120_403, numRuns: 100 },
    );
  });

  test("hold a sender to one window while nothing is read, and let it go on when the reader does", () => {
    const wire = new CreditedWire({ ...channel, messages: [10_000_000] });
    const moveAll = () => {
      while ([wire.send(), wire.deliver(), wire.grant(1), wire.deliverGrant()].includes(true));
    };
    moveAll();
    expect(wire.sentBytes).toBe(channel.windowBytes);
    wire.read();
    moveAll();
    expect(wire.sentBytes).toBe(channel.windowBytes + channel.maxPieceBytes);
    wire.runToTheEnd(() => expectWithinCredit(wire, { ...channel, messages: [10_000_000] }));
    expect(wire.readBytes).toBe(10_000_000);
  });

  test("widen the window of a reader that keeps up to the largest, and of a reader that lags behind not at all", () => {
    const keepsUp = new CreditedWire({ ...channel, messages: [10_000_000] });
    keepsUp.runToTheEnd(() => {});
    expect(keepsUp.receiveCredit.windowBytes).toBe(channel.maxWindowBytes);
    const lags = new CreditedWire({ ...channel, messages: [10_000_000] });
    lags.send();
    lags.deliver();
    while ([lags.send(), lags.deliver() && lags.read(), lags.grant(), lags.deliverGrant()].includes(true));
    expect(lags.receiveCredit.windowBytes).toBe(channel.windowBytes);
    expect(lags.granted.length).toBeGreaterThan(10);
  });
});

test("ReceiveCredit.receive returns false from the first byte beyond the credit on", () => {
  const credit = new ReceiveCredit(100, 60);
  expect([credit.receive(60), credit.receive(1), credit.receive(0)]).toEqual([true, false, false]);
});

/** The figures of a channel of a link. */
const channel: CreditedWireInit = {
  windowBytes: 262_144,
  initialBytes: 262_144,
  maxPieceBytes: 65_536,
  minGrantBytes: 196_608,
  maxWindowBytes: 1_048_576,
  take: () => true,
  messages: [],
  reads: "pieces",
};

function sum(numbers: readonly number[]): number {
  return numbers.reduce((all, each) => all + each, 0);
}

function expectWithinCredit(wire: CreditedWire, { initialBytes, messages, reads }: CreditedWireInit): void {
  const { sendCredit, receiveCredit, granted } = wire;
  expect(wire.sentBytes).toBeLessThanOrEqual(wire.heardBytes);
  expect(wire.faults).toEqual([]);
  expect(sendCredit.roomBytes).toBe(wire.heardBytes - wire.sentBytes);
  expect(sendCredit.windowBytes).toBe(wire.mostRoomBytes);
  expect(receiveCredit.windowBytes).toBe(wire.windowBytes);
  expect(receiveCredit.unreadBytes).toBe(wire.receivedBytes - wire.readBytes);
  // A receiver holds a window. A receiver that joins the pieces of messages may hold one unfinished message beside it.
  const besideBytes = reads === "messages" ? Math.max(0, ...messages) : 0;
  expect(wire.receivedBytes - wire.readBytes).toBeLessThanOrEqual(wire.windowBytes + besideBytes);
  expect((granted.at(-1) ?? initialBytes) - wire.readBytes).toBeLessThanOrEqual(wire.windowBytes + besideBytes);
}

/** The receiver takes all that it has granted, and notices one byte more. */
function expectExceeded({ receiveCredit, receivedBytes, granted }: CreditedWire, { initialBytes }: CreditedWireInit) {
  const leftBytes = (granted.at(-1) ?? initialBytes) - receivedBytes;
  expect([receiveCredit.receive(leftBytes), receiveCredit.receive(1)]).toEqual([true, false]);
}
