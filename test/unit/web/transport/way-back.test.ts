import { createRouterTransport } from "@connectrpc/connect";
import { afterEach, beforeEach, describe, expect, test, vi } from "vitest";
import { WayBack, wayBackOf } from "../../../../web/transport/way-back.js";
import { FakeClock } from "../../../fakes/fake-clock.js";
import { FakePage } from "../../../fakes/fake-page.js";

let clock: FakeClock;
let page: FakePage;
/** Half of each backoff, unless a test says otherwise. */
let random: number;
let wayBack: WayBack;
let attempts: string[];
const attempt = (name: string) => () => attempts.push(`${name} at ${Math.floor(clock.now())} ms`);

beforeEach(() => {
  clock = new FakeClock();
  page = new FakePage();
  random = 0.5;
  wayBack = new WayBack(clock, () => random);
  attempts = [];
});

afterEach(() => {
  vi.unstubAllGlobals();
  expect(clock.timers).toBe(0);
  expect(page.listeners).toBe(0);
});

describe("WayBack.wait", () => {
  test.each([
    [0, 100],
    [1, 200],
    [5, 3_200],
    [6, 5_000],
    [2_000, 5_000],
  ])("waits a random part of the backoff after %i failed attempts", (failedAttempts, backoffMs) => {
    for (random of [0.25, 0.75]) wayBack.wait(failedAttempts, attempt(`${random}`));
    clock.advance(backoffMs);
    expect(attempts).toEqual([0.25, 0.75].map((part) => `${part} at ${part * backoffMs} ms`));
  });

  test("makes the attempt at once when the page wakes or has another network", () => {
    for (const event of ["online", "resume", "visibilitychange"] as const) {
      wayBack.wait(6, attempt(event));
      page.happens(event);
    }
    expect(attempts).toEqual(["online at 0 ms", "resume at 0 ms", "visibilitychange at 0 ms"]);
  });

  test("makes no attempt that was called off", () => {
    const stop = wayBack.wait(0, attempt("stopped"));
    wayBack.wait(0, attempt("other"));
    stop();
    stop();
    page.happens("online");
    clock.advance(10_000);
    expect(attempts).toEqual(["other at 0 ms"]);
  });

  test("calls onLeave in place of the attempt when the page is left", () => {
    wayBack.wait(0, attempt("attempt"), { onLeave: attempt("left") });
    wayBack.wait(6, attempt("other"));
    page.happens("pagehide");
    expect(attempts).toEqual(["left at 0 ms"]);
    clock.advance(10_000);
    expect(attempts).toEqual(["left at 0 ms", "other at 2500 ms"]);
  });

  test("makes no attempt before it returns", () => {
    random = 0;
    wayBack.wait(0, attempt("first"));
    expect(attempts).toEqual([]);
    clock.advance(1);
    expect(attempts).toEqual(["first at 1 ms"]);
  });

  test("has an attempt that waits again wait for its own backoff", () => {
    wayBack.wait(0, () => wayBack.wait(1, attempt("second")));
    page.happens("online");
    clock.advance(10_000);
    expect(attempts).toEqual(["second at 100 ms"]);
  });
});

describe("WayBack.gotThrough", () => {
  test("makes the attempts that wait", () => {
    wayBack.wait(6, attempt("one"));
    wayBack.wait(5, attempt("other"));
    clock.advance(1_000);
    wayBack.gotThrough();
    expect(attempts).toEqual(["one at 1000 ms", "other at 1000 ms"]);
  });

  test("leaves an attempt the backoff of a first one, so that calls that break at once do not wake each other", () => {
    wayBack.wait(0, attempt("first"));
    wayBack.wait(6, attempt("later"));
    clock.advance(10);
    wayBack.gotThrough();
    clock.advance(39);
    expect(attempts).toEqual([]);
    clock.advance(1);
    expect(attempts).toEqual(["first at 50 ms", "later at 50 ms"]);
  });
});

test("wayBackOf is one for all calls over a transport", () => {
  const transport = createRouterTransport(() => {});
  expect(wayBackOf(transport, clock)).toBe(wayBackOf(transport, clock));
  expect(
    wayBackOf(
      createRouterTransport(() => {}),
      clock,
    ),
  ).not.toBe(wayBackOf(transport, clock));
});
