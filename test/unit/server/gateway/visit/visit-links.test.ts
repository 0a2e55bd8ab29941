import { describe, expect, test } from "vitest";
import { Failure } from "../../../../../gen/streamserver/v1/failure_pb.js";
import type { Claims } from "../../../../../server/admission/caller.js";
import { Grants } from "../../../../../server/admission/policy/grants.js";
import { linkLifeMs, VisitLinks } from "../../../../../server/gateway/visit/visit-links.js";
import { FakeClock } from "../../../../fakes/fake-clock.js";

const claims: Claims = {
  subject: "ann",
  name: "",
  meta: {},
  issuedAtMs: 0,
  expiresAtMs: undefined,
  cut: false,
  tokenId: "",
};

function links() {
  const clock = new FakeClock();
  return { clock, links: new VisitLinks(clock, new Grants({ clock })) };
}

describe("VisitLinks", () => {
  test("gives the grant of a link once, for its name, as long as it lives", () => {
    const { clock, links: made } = links();
    const code = made.make("name", claims, "ann");
    expect([made.has(code, "name"), made.take(code, "other")]).toEqual([true, undefined]);
    expect([made.take(code, "name"), made.take(code, "name")]).toEqual([claims, undefined]);
    const old = made.make("name", claims, "ann");
    clock.advance(linkLifeMs - 1);
    expect(made.has(old, "name")).toBe(true);
    clock.advance(1);
    expect([made.has(old, "name"), made.take(old, "name")]).toEqual([false, undefined]);
  });

  test("forgets the oldest link of a maker who has too many, and of nobody else", () => {
    const { links: made } = links();
    const other = made.make("name", claims, "bob");
    const codes = Array.from({ length: 101 }, () => made.make("name", claims, "ann"));
    expect([other, codes[0], codes[1]].map((code) => made.has(code ?? "", "name"))).toEqual([true, false, true]);
  });

  test("makes no more links than fit, until old ones are over", () => {
    const { clock, links: made } = links();
    for (let maker = 0; maker < 10_000; maker += 1) made.make("name", claims, String(maker));
    expect(() => made.make("name", claims, "ann")).toThrow(expect.objectContaining({ failure: Failure.LIMIT_REACHED }));
    clock.advance(linkLifeMs);
    expect(made.has(made.make("name", claims, "ann"), "name")).toBe(true);
  });
});
