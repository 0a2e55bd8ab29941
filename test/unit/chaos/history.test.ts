import { describe, expect, test } from "vitest";
import { carriers } from "../../chaos/carriers.ts";
import { historyText, isSurvivable, parseHistory, randomHistory } from "../../chaos/history/history.ts";

const seeds = Array.from({ length: 200 }, (_, at) => at + 1);

describe.each(carriers)("randomHistory over %s", (carrier) => {
  test("is the same for the same seed, and its text is read back", () => {
    for (const seed of seeds) {
      const history = randomHistory(seed, carrier);
      expect(randomHistory(seed, carrier)).toEqual(history);
      expect(parseHistory(historyText(history))).toEqual(history);
    }
  });

  test("lets the stream survive in most histories, and does every kind of thing in some", () => {
    const histories = seeds.map((seed) => randomHistory(seed, carrier));
    expect(histories.filter(isSurvivable).length).toBeGreaterThan(0.9 * seeds.length);
    const kinds = new Set(histories.flatMap(({ steps }) => steps.map(({ kind }) => kind)));
    expect(kinds.size).toBe(carrier === "local" ? 11 : 12);
  });
});

test("parseHistory refuses what is no history", () => {
  for (const text of ["", "http2: open 0", "http3/http2: open 0", "http2/http2: open", "http2/http2: burn 3"]) {
    expect(() => parseHistory(text)).toThrow();
  }
});
