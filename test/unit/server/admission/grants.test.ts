import { Code } from "@connectrpc/connect";
import { beforeEach, describe, expect, test } from "vitest";
import { Failure } from "../../../../gen/streamserver/v1/failure_pb.js";
import type { Claims } from "../../../../server/admission/caller.js";
import { expiryIntervalMs, Grants } from "../../../../server/admission/policy/grants.js";
import type { Revocation } from "../../../../server/admission/policy/revocations.js";
import type { StreamError } from "../../../../stream/error/stream-error.js";
import { FakeClock } from "../../../fakes/fake-clock.js";
import { thrown } from "../../../fakes/outcome.js";

const epochMs = 1_800_000_000_000;

let clock: FakeClock;
let grants: Grants;
let ended: [string, StreamError][];

beforeEach(() => {
  clock = new FakeClock();
  const beginMs = clock.now();
  grants = new Grants({ clock, now: () => epochMs + clock.now() - beginMs });
  ended = [];
});

function claims(tokenId: string, changes: Partial<Claims> = {}): Claims {
  const facts = { subject: "ann", name: "", meta: {}, issuedAtMs: epochMs - 10_000, tokenId, cut: false };
  return { ...facts, expiresAtMs: epochMs + 10_000, ...changes };
}

const hold = (held: Claims | undefined) =>
  grants.hold({ claims: held }, (error) => ended.push([held?.tokenId ?? "", error]));
const endedIds = () => ended.map(([id]) => id);

describe("Grants.revoke", () => {
  const others = [claims("t2"), claims("t3", { subject: "bob" }), claims("t4", { issuedAtMs: epochMs + 1 })];

  test.each<[string, Revocation, string[]]>([
    ["a token by its id", { jti: "t2" }, ["t2"]],
    ["the tokens of a subject until now", { sub: "ann" }, ["t1", "t2"]],
    ["those of a subject until a time", { sub: "ann", issuedBefore: epochMs - 10_001 }, []],
    ["all tokens until a time", { issuedBefore: new Date(epochMs - 10_000) }, ["t1", "t2", "t3"]],
    ["nothing for a subject that has no tokens", { sub: "eve" }, []],
  ])("ends %s, and lets none of them in again", (_, revocation, expected) => {
    const all = [claims("t1"), ...others];
    for (const each of all) hold(each);
    hold(undefined);
    expect(grants.revoke(revocation)).toBe(expected.length);
    expect(endedIds()).toEqual(expected);
    for (const each of all.filter(({ tokenId }) => expected.includes(tokenId))) {
      expect(thrown(() => grants.check({ claims: each }))).toMatchObject({
        failure: Failure.NOT_PERMITTED,
        code: Code.Unauthenticated,
      });
    }
    for (const each of all.filter(({ tokenId }) => !expected.includes(tokenId))) grants.check({ claims: each });
    expect(grants.size).toBe(all.length - expected.length);
  });

  test("ends nothing that was released, nor what another end has released", () => {
    hold(claims("t1")).release();
    const second = hold(claims("t3"));
    grants.hold({ claims: claims("t2") }, () => {
      ended.push(["t2", thrown(() => grants.check({ claims: claims("t2") }))]);
      second.release();
    });
    const third = hold(claims("t4"));
    third.release();
    grants.revoke({ sub: "ann" });
    expect(endedIds()).toEqual(["t3", "t2"]);
  });

  test.each<[string, unknown]>([
    ["nothing", {}],
    ["an id and a subject", { jti: "t1", sub: "ann" }],
    ["an empty subject", { sub: "" }],
    ["a date that is none", { issuedBefore: new Date("soon") }],
    ["an unknown part", { subject: "ann" }],
  ])("throws a TypeError for %s", (_, revocation) => {
    expect(() => grants.revoke(revocation as Revocation)).toThrow(TypeError);
  });
});

describe("a grant that expires", () => {
  test("ends what lives by it within a second, if it cuts", () => {
    hold(claims("cuts", { cut: true }));
    hold(claims("cuts later", { cut: true, expiresAtMs: epochMs + 60_000 }));
    hold(claims("goes on"));
    clock.advance(9_999);
    expect(endedIds()).toEqual([]);
    clock.advance(expiryIntervalMs);
    expect(endedIds()).toEqual(["cuts"]);
    expect(ended[0]?.[1]).toMatchObject({ failure: Failure.NOT_PERMITTED, code: Code.Unauthenticated });
    clock.advance(60_000);
    expect(endedIds()).toEqual(["cuts", "cuts later"]);
    expect(clock.timers).toBe(0);
  });

  test("leaves no timer behind when all that it would end is released", () => {
    const holds = [hold(claims("a", { cut: true })), hold(claims("b", { cut: true }))];
    expect(clock.timers).toBe(1);
    for (const each of holds) each.release();
    expect(clock.timers).toBe(0);
  });
});

describe("Grants.renew", () => {
  test("lets what lives by claims, now and later, live by newer ones", () => {
    const old = claims("old", { cut: true });
    hold(old);
    expect(grants.expiresInMs({ claims: old })).toBe(10_000);
    grants.renew(old, claims("new", { cut: true, expiresAtMs: epochMs + 60_000 }));
    hold(old);
    expect(grants.expiresInMs({ claims: old })).toBe(60_000);
    clock.advance(20_000);
    expect(endedIds()).toEqual([]);
    // The token that was replaced can be revoked without an effect on what lives by the newer one.
    expect([grants.revoke({ jti: "old" }), grants.revoke({ jti: "new" })]).toEqual([0, 2]);
    expect(clock.timers).toBe(0);
  });

  test("ends what goes on by a token that does not cut no more, and what goes on by one that does", () => {
    const [first, second] = [claims("first", { cut: true }), claims("second")];
    hold(first);
    hold(second);
    grants.renew(first, claims("newer", { cut: false }));
    grants.renew(second, claims("newer", { cut: true, expiresAtMs: epochMs + 20_000 }));
    clock.advance(11_000);
    expect(endedIds()).toEqual([]);
    clock.advance(10_000);
    expect(endedIds()).toEqual(["second"]);
  });

  test("refuses claims of another subject", () => {
    const old = claims("old");
    expect(thrown(() => grants.renew(old, claims("new", { subject: "bob" })))).toMatchObject({
      failure: Failure.NOT_PERMITTED,
      code: Code.PermissionDenied,
    });
  });
});
