import { describe, expect, test } from "vitest";
import { Failure } from "../../../../gen/streamserver/v1/failure_pb.js";
import { quietTimeMs, quoted, type RelayWarning, Warnings } from "../../../../server/admission/warnings.js";
import { FakeClock } from "../../../fakes/fake-clock.js";
import { thrown } from "../../../fakes/outcome.js";
import { connect, newRelay } from "../../../fakes/relays.js";

function newWarnings() {
  const clock = new FakeClock();
  const told: RelayWarning[] = [];
  return { clock, told, warnings: new Warnings(clock, (warning) => told.push(warning)) };
}

describe("Warnings", () => {
  test("tells each cause at once, then at most once a minute, with what was left out", () => {
    const { clock, told, warnings } = newWarnings();
    const refuse = (origin: string) => warnings.warn({ kind: "origin-refused" }, `refused ${origin}`);
    refuse("a");
    for (let index = 0; index < 1_000; index += 1) refuse(`b${index}`);
    warnings.limitReached("maxNames", "full", { value: 1, retryAfterMs: 0 });
    warnings.limitReached("maxLinks", "full", { value: 1, retryAfterMs: 0 });
    expect(told.map(({ kind, count }) => [kind, count])).toEqual([
      ["origin-refused", 1],
      ["limit-reached", 1],
      ["limit-reached", 1],
    ]);
    clock.advance(quietTimeMs);
    refuse("c");
    expect(told.at(-1)).toMatchObject({ kind: "origin-refused", count: 1_001 });
    expect(told.at(-1)?.message).toMatch(/^refused c .*1001/);
    refuse("d");
    warnings.flush();
    warnings.flush();
    expect(told.slice(4).map(({ message, count }) => [message, count])).toEqual([["refused d", 1]]);
    expect(clock.timers).toBe(0);
  });
});

describe("quoted", () => {
  test.each([
    [undefined, "none"],
    ["https://a.example", '"https://a.example"'],
    ["部屋", '"部屋"'],
    ['a"\n\u001b[31m', String.raw`"a\"\n\u001b[31m"`],
    ["\u009b\u202e\u2028\u{e0001}", String.raw`"\u009b\u202e\u2028\udb40\udc01"`],
    ["\ud800", String.raw`"\ud800"`],
    ["a\u3164b\u2800c\ufe0f", String.raw`"a\u3164b\u2800c\ufe0f"`],
    ["👩‍👩‍👧", '"👩‍👩‍👧"'],
  ])("%j becomes %s", (text, expected) => {
    expect(quoted(text)).toBe(expected);
  });

  test("long text is cut", () => {
    expect(quoted("x".repeat(100_000)).length).toBeLessThan(300);
  });
});

describe("a limit that is reached is told to the operator", () => {
  test("maxNames, maxStreams and maxOffersPerName", () => {
    const { relay, told } = newRelay({ maxNames: 1, maxStreams: 2, maxOffersPerName: 1 });
    const { lease } = relay.listen("room", false);
    const refusals = [thrown(() => relay.listen("other", false))];
    connect(relay);
    refusals.push(thrown(() => connect(relay)));
    expect(lease.offers).toBe(1);
    for (const refusal of refusals) expect(refusal).toMatchObject({ failure: Failure.LIMIT_REACHED });
    expect(told.map((warning) => warning.kind === "limit-reached" && warning.limit)).toEqual([
      "maxNames",
      "maxOffersPerName",
    ]);
  });
});
