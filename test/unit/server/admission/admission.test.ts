import { Code, ConnectError } from "@connectrpc/connect";
import { describe, expect, test } from "vitest";
import { Failure } from "../../../../gen/streamserver/v1/failure_pb.js";
import { Admission } from "../../../../server/admission/admission.js";
import { type Caller, localCaller } from "../../../../server/admission/caller.js";
import { defaultLimits, type RelayLimits } from "../../../../server/admission/limits.js";
import type { Authorize, AuthorizeRequest } from "../../../../server/admission/policy/authorize.js";
import { KnownTokens } from "../../../../server/admission/policy/known-tokens.js";
import { CallerRates, maxRememberedCallers } from "../../../../server/admission/rates/caller-rates.js";
import type { Resource } from "../../../../server/admission/resource.js";
import { type RelayWarning, Warnings } from "../../../../server/admission/warnings.js";
import { StreamError } from "../../../../stream/error/stream-error.js";
import { Deferred } from "../../../../stream/platform/deferred.js";
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
    ["maxNames", { kind: "name", isTakenUp: false }, 3],
    ["maxStreams", { kind: "stream", name: "room" }, 3],
    ["maxStreams", { kind: "leg" }, 12],
    ["maxOffersPerName", { kind: "offer", leaseId: "lease", name: "room" }, 3],
    ["maxOffersPerName", waiting("room"), 3],
    ["maxWaitingOffers", waiting("room"), 3],
    ["maxWatchers", { kind: "watch" }, 3],
    ["maxWatchers", { kind: "health watch" }, 3],
    ["maxLinks", { kind: "link" }, 3],
    ["maxCalls", { kind: "call" }, 3],
    ["maxCalls", { kind: "reflection call" }, 3],
    ["maxOpeningCalls", { kind: "opening call" }, 3],
    ["maxGatewayCalls", { kind: "gateway call" }, 3],
    ["maxWatchers", { kind: "reflection call" }, 3],
  ])("refuses by %s one more %o, until one is released", (limit, resource, max) => {
    const admission = newAdmission({ [limit]: 3 });
    const holds = Array.from({ length: max }, () => admission.hold(someCaller, resource));
    expect(admission.count(resource.kind)).toBe(max);
    expect(thrown(() => admission.hold(someCaller, resource))).toMatchObject(refused);
    for (let times = 0; times < 2; times += 1) holds[0]?.release();
    admission.hold(someCaller, resource);
    expect(thrown(() => admission.hold(someCaller, resource))).toMatchObject(refused);
  });

  const other: Caller = { ...someCaller, address: "192.0.2.2" };
  const identity = (subject: string, caller = someCaller): Caller => ({
    ...caller,
    claims: { subject, name: "", meta: {}, issuedAtMs: 0, expiresAtMs: undefined, cut: false, tokenId: "" },
  });
  /** Callers on this machine, for whom a proxy may speak. */
  const near = ["127.0.0.1", "127.8.0.1", "::1", ""].map((address): Caller => ({ ...someCaller, address }));

  test.each<[limit: keyof RelayLimits, resource: Resource]>([
    ["maxNamesPerCaller", { kind: "name", isTakenUp: false }],
    ["maxStreamsPerCaller", { kind: "stream", name: "room" }],
    ["maxWaitingOffersPerCaller", waiting("room")],
    ["maxWatchersPerCaller", { kind: "watch" }],
    ["maxWatchersPerCaller", { kind: "health watch" }],
    ["maxLinksPerCaller", { kind: "link" }],
    ["maxCallsPerCaller", { kind: "call" }],
    ["maxOpeningCallsPerCaller", { kind: "opening call" }],
    ["maxGatewayCallsPerCaller", { kind: "gateway call" }],
    ["maxWatchersPerCaller", { kind: "reflection call" }],
    ["maxAuthorizationsPerCaller", { kind: "authorization" }],
  ])("refuses one caller by %s one more %o, and no other", (limit, resource) => {
    const admission = newAdmission({ [limit]: 2 });
    const callers = [someCaller, other, identity("ann"), identity("bob")];
    const holds = callers.flatMap((caller) => [admission.hold(caller, resource), admission.hold(caller, resource)]);
    for (const caller of [...callers, identity("ann", other)]) {
      const error = thrown(() => admission.hold(caller, resource));
      expect(error).toMatchObject({ ...refused, limit: { name: limit, value: 2, retryAfterMs: 1_000 } });
    }
    for (const caller of [localCaller, ...near])
      for (let times = 0; times < 3; times += 1) admission.hold(caller, resource);
    holds[0]?.release();
    admission.hold(someCaller, resource);
  });

  test("counts for no caller what comes back after a restart", () => {
    const admission = newAdmission({ maxNamesPerCaller: 1, maxStreamsPerCaller: 1 });
    for (let times = 0; times < 2; times += 1) {
      admission.hold(someCaller, { kind: "name", isTakenUp: true });
      admission.hold(someCaller, { kind: "stream", name: "" });
    }
    admission.hold(someCaller, { kind: "name", isTakenUp: false });
    admission.hold(someCaller, { kind: "stream", name: "room" });
  });

  test("refuses by maxStreamsPerName one more stream of one name, whoever asks", () => {
    const admission = newAdmission({ maxStreamsPerName: 2 });
    for (const caller of [someCaller, localCaller]) admission.hold(caller, { kind: "stream", name: "room" });
    expect(thrown(() => admission.hold(other, { kind: "stream", name: "room" }))).toMatchObject(refused);
    admission.hold(other, { kind: "stream", name: "other" });
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
    const first = admission.hold(someCaller, { kind: "name", isTakenUp: false });
    const second = admission.hold(someCaller, { kind: "name", isTakenUp: false }, first);
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
    [
      "what cannot be asked whether it is a promise",
      () => new Proxy({}, { get: () => (undefined as unknown as Grantless).missing.it }),
    ],
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
    expect(admission.count("authorization")).toBe(0);
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

test("Admission.admit refuses a grant that was asked for before its subject was revoked, and comes later", async () => {
  const answer = new Deferred<object>();
  const { admission } = newDoor({}, () => answer.promise);
  const admitted = rejection(Promise.resolve(admission.admit(connecting)));
  const revokedAtMs = Date.now();
  admission.grants.revoke({ sub: "ann" });
  while (Date.now() === revokedAtMs);
  answer.resolve({ subject: "ann" });
  expect(await admitted).toMatchObject({ failure: Failure.NOT_PERMITTED, code: Code.Unauthenticated });
});

describe("Admission.admit hides each name", () => {
  const throws = (name: string) => decodeURIComponent(name) === "shown";
  test.each<[string, (name: string) => unknown, string[]]>([
    ["for which shows of the grant throws", throws, ["shown"]],
    ["for which it returns a promise, which may reject", async (name) => throws(name), []],
    ["for which it returns anything else but true", (name) => name, []],
  ])("%s, and tells the operator once", async (_when, shows, expected) => {
    const { admission, told } = newDoor({}, () => ({ shows }));
    const listing: AuthorizeRequest = { ...connecting, action: "list", name: "" };
    const admitted = await admission.admit(listing);
    expect(["%", "shown", "%"].filter((name) => admitted.shows?.(name))).toEqual(expected);
    expect(told).toMatchObject([{ kind: "authorize-failed" }]);
    // A promise that rejects unheard fails the test by now.
    await new Promise(setImmediate);
  });
});

describe("Admission.admit, of one caller in a second,", () => {
  const limits = { maxCallsPerSecondPerCaller: 2 };
  const rate = { ...refused, limit: { name: "maxCallsPerSecondPerCaller", value: 2, retryAfterMs: 500 } };
  const callTimes = (admission: Admission, times: number, request = connecting) => {
    for (let call = 0; call < times; call += 1) admission.admit(request);
  };

  test("refuses more than maxCallsPerSecondPerCaller once ten times as many came, and says when it goes on", () => {
    const { admission, clock } = newDoor(limits);
    callTimes(admission, 20);
    expect(thrown(() => admission.admit(connecting))).toMatchObject(rate);
    callTimes(admission, 20, { ...connecting, caller: { ...someCaller, address: "192.0.2.2" } });
    callTimes(admission, 100, { ...connecting, caller: { ...someCaller, address: "127.0.0.1" } });
    clock.advance(500);
    admission.admit(connecting);
    expect(thrown(() => admission.admit(connecting))).toMatchObject(rate);
  });

  test("counts by identity where there is one, so that callers of one address do not share their calls", () => {
    const { admission } = newDoor(limits, ({ token }) => ({ subject: token }));
    for (const token of ["ann", "bob"]) callTimes(admission, 20, { ...connecting, token });
    expect(thrown(() => admission.admit({ ...connecting, token: "ann" }))).toMatchObject(rate);
    admission.admit({ ...connecting, token: "carol" });
  });

  test("asks the policy no more about an address that it has refused too often", () => {
    const asked: string[] = [];
    const { admission } = newDoor(limits, ({ token }) => {
      asked.push(token);
      throw new StreamError("no");
    });
    for (let guess = 0; guess < 100; guess += 1) thrown(() => admission.admit({ ...connecting, token: `${guess}` }));
    expect(asked).toHaveLength(20);
    expect(thrown(() => admission.admit(connecting))).toMatchObject(rate);
  });
});

describe("Admission.admit, where an address guesses tokens,", () => {
  const limits = { maxCallsPerSecondPerCaller: 2, maxAuthorizationsPerCaller: 2 };
  const names = new Set(["room"]);
  const good = { ...connecting, token: "good" };

  /** Lets in who has a good token. `subject` tells whether the token says who its holder is. */
  function policy(subject: string | undefined) {
    const asked: string[] = [];
    const tokens = new Set(["good", "other"]);
    const door = newDoor(limits, ({ token, name }) => {
      asked.push(token);
      if (!tokens.has(token)) throw new StreamError("who?", { code: Code.Unauthenticated });
      if (!names.has(name)) throw new StreamError("not that name");
      return { subject };
    });
    const guess = () => {
      for (let token = 0; token < 100; token += 1)
        thrown(() => door.admission.admit({ ...connecting, token: `${token}` }));
    };
    return { ...door, asked, tokens, guess };
  }

  test.each(["ann", undefined])("lets in a token that was good before, of the subject %s, and no other", (subject) => {
    const { admission, asked, guess } = policy(subject);
    admission.admit(good);
    guess();
    expect(asked).toHaveLength(21);
    admission.admit(good);
    expect(thrown(() => admission.admit({ ...connecting, token: "other" }))).toMatchObject(refused);
    expect(thrown(() => admission.admit({ ...connecting, token: "" }))).toMatchObject(refused);
  });

  test("lets a token that was good be refused so often, and only so often", () => {
    const { admission, asked, guess } = policy("ann");
    admission.admit(good);
    guess();
    asked.splice(0);
    for (let call = 0; call < 100; call += 1) thrown(() => admission.admit({ ...good, name: "hall" }));
    expect(asked).toHaveLength(20);
  });

  test("takes a token that is good no longer for a guess", () => {
    const { admission, asked, tokens, guess } = policy("ann");
    admission.admit(good);
    tokens.delete("good");
    guess();
    thrown(() => admission.admit(good));
    asked.splice(0);
    expect(thrown(() => admission.admit(good))).toMatchObject(refused);
    expect(asked).toEqual([]);
  });

  test("asks about a token that was good while guesses wait for the policy", async () => {
    const answers: Deferred<object>[] = [];
    const { admission } = newDoor(limits, ({ token }) => {
      if (token === "good") return {};
      const answer = new Deferred<object>();
      answers.push(answer);
      return answer.promise;
    });
    admission.admit(good);
    const guesses = [1, 2].map((token) => Promise.resolve(admission.admit({ ...connecting, token: `${token}` })));
    expect(thrown(() => admission.admit({ ...connecting, token: "3" }))).toMatchObject(refused);
    admission.admit(good);
    for (const answer of answers) answer.resolve({});
    await Promise.all(guesses);
  });

  test("counts guesses of other tokens apart from the calls of the address", () => {
    const { admission } = newDoor(limits);
    const refusal = new StreamError("no");
    const guesses = Array.from({ length: 21 }, () => admission.afterGuess({ caller: someCaller, refusal }));
    expect(guesses.at(-1)).toMatchObject(refused);
    admission.admit(connecting);
  });
});

test("KnownTokens forgets the token that was not used for longest", () => {
  const known = new KnownTokens(2);
  for (const token of ["a", "b", "a", "c", ""]) known.add(token);
  expect(["a", "b", "c", ""].filter((token) => known.digestOf(token) !== undefined)).toEqual(["a", "c"]);
});

test("CallerRates forgets the caller that called least recently, so that addresses take no memory", () => {
  const rates = new CallerRates(new FakeClock(), { burst: 10, perSecond: 1 });
  while (rates.take("first"));
  for (let caller = 0; caller < maxRememberedCallers - 1; caller += 1) rates.take(`${caller}`);
  expect(rates.waitMs("first")).toBe(1_000);
  rates.take("one more");
  expect(rates.waitMs("first")).toBe(0);
});

/** A type for a mistake that the compiler would otherwise find. */
interface Grantless {
  missing: { it: unknown };
}
