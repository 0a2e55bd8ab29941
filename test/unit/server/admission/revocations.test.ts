import { expect, test } from "vitest";
import { Failure } from "../../../../gen/streamserver/v1/failure_pb.js";
import { Revocations } from "../../../../server/admission/policy/revocations.js";
import { thrown } from "../../../fakes/outcome.js";

test("Revocations.add takes no more than its cap, says so, and still takes what it has and all until a time", () => {
  const revocations = new Revocations(2);
  revocations.add({ jti: "t1" }, 0);
  revocations.add({ sub: "ann" }, 0);
  expect(thrown(() => revocations.add({ jti: "t2" }, 0)).failure).toBe(Failure.LIMIT_REACHED);
  revocations.add({ sub: "ann" }, 5);
  expect(revocations.includes({ tokenId: "", subject: "ann", issuedAtMs: 5 })).toBe(true);
  // An earlier time does not take back a later one.
  revocations.add({ sub: "ann", issuedBefore: 1 }, 6);
  expect(revocations.includes({ tokenId: "", subject: "ann", issuedAtMs: 5 })).toBe(true);
  revocations.add({ issuedBefore: 9 }, 9);
  expect(revocations.includes({ tokenId: "t2", subject: "bob", issuedAtMs: 9 })).toBe(true);
});

test("Revocations.add refuses a time that is to come, before which nobody could use the relay", () => {
  const revocations = new Revocations();
  expect(() => revocations.add({ issuedBefore: 10 }, 9)).toThrow(RangeError);
  expect(revocations.includes({ tokenId: "t", subject: "bob", issuedAtMs: 9 })).toBe(false);
});
