import fc from "fast-check";
import { expect, test } from "vitest";
import { Fifo } from "../../../../stream/platform/fifo.js";

test("what is pushed is shifted in its order, whatever is between", () => {
  const steps = fc.array(fc.record({ step: fc.constantFrom("push", "shift", "clear"), times: fc.nat(1_500) }), {
    maxLength: 12,
  });
  fc.assert(
    fc.property(steps, (chosen) => {
      const fifo = new Fifo<number>();
      let [first, next] = [0, 0];
      for (const { step, times } of chosen) {
        for (let nth = 0; nth < times; nth++) {
          if (step === "push") fifo.push(next++);
          if (step === "shift" && fifo.shift() !== (first < next ? first++ : undefined))
            throw new Error("out of order");
        }
        if (step === "clear") fifo.clear();
        if (step === "clear") first = next;
        expect(fifo.length).toBe(next - first);
        expect(fifo.peek()).toBe(first < next ? first : undefined);
      }
    }),
    { seed: 20_120_404, numRuns: 200 },
  );
});
