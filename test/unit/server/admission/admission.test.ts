import { Code, ConnectError } from "@connectrpc/connect";
import { describe, expect, test } from "vitest";
import { Failure } from "../../../../gen/streamserver/v1/failure_pb.js";
import { Admission } from "../../../../server/admission/admission.js";
import type { Authorize, AuthorizeRequest } from "../../../../server/admission/authorize.js";
import { localCaller } from "../../../../server/admission/caller.js";
import { defaultLimits, type RelayLimits } from "../../../../server/admission/limits.js";
import type { Resource } from "../../../../server/admission/resource.js";
import { type RelayWarning, Warnings } from "../../../../server/admission/warnings.js";
import { StreamError } from "../../../../stream/error/stream-error.js";
import { FakeClock } from "../../../fakes/fake-clock.js";
import { promiseState, rejection, thrown } from "../../../fakes/outcome.js";
import { someCaller } from "../../../fakes/relays.js";

function newDoor(limits: Partial<RelayLimits> = {}, authorize?: (request: AuthorizeRequest) => unknown) {
  const clock = new FakeClock();
  const told: RelayWarning[] = [];
  const warnings = new Warnings(clock, (warning) => told.push(warning));
  const init = { limits: { ...defaultLimits, ...limits }, clock, warnings };
  return { admission: new Admission({ ...init, authorize: authorize as Authorize | undefined }), clock, told };
}

function newAdmission(limits: Partial<RelayLimits> = {}) {
  return newDoor(limits).admission;
}

const refused = { failure: Failure.LIMIT_REACHED };
const waiting = (name: string, bytes = 1): Resource => ({ kind: "waiting offer", name, bytes });

describe("Admission.hold", () => {
  test.each<[limit: keyof RelayLimits, resource: Resource, max: number]>([
    ["maxNames", { kind: "name" }, 3],
    ["maxStreams", { kind: "stream" }, 3],
    ["maxStreams", { kind: "leg" }, 12],
    ["maxOffersPerName", { kind: "offer", leaseId: "lease", name: "room" }, 3],
    ["maxOffersPerName", waiting("room"), 3],
    ["maxWaitingOffers", waiting("room"), 3],
    ["maxWatchers", { kind: "watch" }, 3],
    ["maxWatchers", { kind: "health watch" }, 3],
    ["maxLinks", { kind: "link" }, 3],
  ])("refuses by %s one more %o, until one is released", (limit, resource, max) => {
    const admission = newAdmission({ [limit]: 3 });
    const holds = Array.from({ length: max }, () => admission.hold(someCaller, resource));
    expect(admission.count(resource.kind)).toBe(max);
    expect(thrown(() => admission.hold(someCaller, resource))).toMatchObject(refused);
    for (let times = 0; times < 2; times += 1) holds[0]?.release();
    admission.hold(someCaller, resource);
    expect(thrown(() => admission.hold(someCaller, resource))).toMatchObject(refused);
  });

  test("counts the offers of each name for themselves", () => {
    const admission = newAdmission({ maxOffersPerName: 1 });
    admission.hold(someCaller, waiting("a"));
    admission.hold(someCaller, waiting("b"));
    for (const leaseId of ["1", "2"]) admission.hold(someCaller, { kind: "offer", leaseId, name: "a" });
    expect(admission.count("waiting offer")).toBe(2);
    expect(thrown(() => admission.hold(someCaller, waiting("a")))).toMatchObject(refused);
  });

  test("lets one resource take the place of another where all places are taken", () => {
    const admission = newAdmission({ maxNames: 1 });
    const first = admission.hold(someCaller, { kind: "name" });
    const second = admission.hold(someCaller, { kind: "name" }, first);
    first.release();
    expect(admission.count("name")).toBe(1);
    second.release();
    expect(admission.count("name")).toBe(0);
  });
});

const connecting: AuthorizeRequest = {
  action: "connect",
  name: "room",
  token: "a token",
  caller: someCaller,
  metadata: { said: "by the client", role: "said" },
};
const notPermitted = { failure: Failure.NOT_PERMITTED };

describe("Admission.admit", () => {
  test("lets everybody in at once if there is no policy", () => {
    const { caller, metadata } = connecting;
    expect(newAdmission().admit(connecting)).toEqual({ caller, metadata });
  });

  test("does not ask about this process", () => {
    const { admission } = newDoor({}, () => {
      throw new StreamError("nobody may");
    });
    expect(admission.admit({ ...connecting, caller: localCaller })).toMatchObject({ caller: localCaller });
    expect(thrown(() => admission.admit(connecting))).toMatchObject(notPermitted);
  });

  const grant = { subject: "ann", name: "Ann", meta: { team: "a" }, metadata: { role: "owner" }, tokenId: "7" };
  test.each([
    ["at once", () => grant],
    ["with a promise", async () => grant],
  ])("hands on what a grant says %s is verified", async (_when, authorize) => {
    const asked: AuthorizeRequest[] = [];
    const { admission } = newDoor({}, (request) => {
      asked.push(request);
      return authorize();
    });
    expect(await admission.admit(connecting)).toEqual({
      caller: {
        ...someCaller,
        claims: {
          subject: "ann",
          name: "Ann",
          meta: { team: "a" },
          tokenId: "7",
          cut: false,
          issuedAtMs: expect.any(Number),
        },
      },
      metadata: { said: "by the client", role: "owner" },
    });
    expect([asked, admission.count("authorization")]).toEqual([[connecting], 0]);
  });

  test.each<[string, unknown, object]>([
    [
      "a code",
      new StreamError("who?", { code: Code.Unauthenticated }),
      { code: Code.Unauthenticated, message: "who?" },
    ],
    ["no code", new StreamError("not you"), { code: Code.PermissionDenied, message: "not you" }],
    ["Connect's error", new ConnectError("no", Code.NotFound), { code: Code.NotFound, message: "no" }],
  ])("refuses with the words of the policy and %s", async (_what, reason, expected) => {
    const now = newDoor({}, () => {
      throw reason;
    });
    const later = newDoor({}, () => Promise.reject(reason));
    expect(thrown(() => now.admission.admit(connecting))).toMatchObject({ ...notPermitted, ...expected });
    expect(await rejection(Promise.resolve(later.admission.admit(connecting)))).toMatchObject(expected);
    expect([now.told, later.told, now.admission.count("authorization")]).toEqual([[], [], 0]);
  });

  test("keeps a failure that the policy names", () => {
    const { admission } = newDoor({}, () => {
      throw new StreamError("later", { failure: Failure.LIMIT_REACHED });
    });
    expect(thrown(() => admission.admit(connecting))).toMatchObject({ code: Code.ResourceExhausted });
  });

  test.each<[string, () => unknown]>([
    ["a mistake in it", () => (undefined as unknown as Grantless).missing.it],
    ["a promise that rejects for one", () => Promise.reject(new TypeError("secret"))],
    ["true", () => true],
    ["nothing", () => undefined],
    ["null", () => null],
    ["a subject that is no text", () => ({ subject: 7 })],
    ["metadata that is no text", () => ({ metadata: { a: 1 } })],
    ["meta that is no object", () => ({ meta: "x" })],
    ["an end that is no number", () => ({ expiresAtMs: "soon" })],
    ["facts that are too large", () => ({ meta: { a: "x".repeat(10_000) } })],
  ])("refuses, and tells only the operator why, where the policy answers with %s", async (_what, authorize) => {
    const { admission, told } = newDoor({}, authorize);
    const error = await rejection((async () => admission.admit(connecting))());
    expect(error).toMatchObject({ ...notPermitted, code: Code.Unavailable });
    expect(error.message).not.toContain("secret");
    expect(told).toMatchObject([{ kind: "authorize-failed" }]);
  });

  test("refuses where the policy takes too long, and asks no more than maxAuthorizations at once", async () => {
    const { admission, clock, told } = newDoor(
      { maxAuthorizations: 2, authorizeTimeoutMs: 5_000 },
      () => new Promise(() => {}),
    );
    const waiting = [admission.admit(connecting), admission.admit(connecting)].map((each) => Promise.resolve(each));
    expect(thrown(() => admission.admit(connecting))).toMatchObject(refused);
    clock.advance(4_999);
    expect(await Promise.all(waiting.map(promiseState))).toEqual(["pending", "pending"]);
    clock.advance(1);
    expect(await Promise.all(waiting.map(rejection))).toMatchObject(Array(2).fill({ code: Code.Unavailable }));
    expect([admission.count("authorization"), clock.timers]).toEqual([0, 0]);
    expect(told.map(({ kind }) => kind)).toEqual(["limit-reached", "authorize-failed"]);
  });
});

/** A type for a mistake that the compiler would otherwise find. */
interface Grantless {
  missing: { it: unknown };
}
