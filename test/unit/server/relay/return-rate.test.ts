import { describe, expect, test } from "vitest";
import { Failure } from "../../../../gen/streamserver/v1/failure_pb.js";
import { localCaller } from "../../../../server/admission/caller.js";
import type { Admitted } from "../../../../server/admission/policy/authorize.js";
import { TokenSigner } from "../../../../server/relay/token.js";
import { thrown } from "../../../fakes/outcome.js";
import { newRelay, noFacts, resumableStream, resumes, someCaller } from "../../../fakes/relays.js";

/** All that one caller may have is ten. */
const limits = { maxStreams: 5, maxStreamsPerCaller: 3, maxNamesPerCaller: 2, maxCallsPerSecondPerCaller: 10 };
const burst = 10;
const tooOften = {
  failure: Failure.LIMIT_REACHED,
  limit: { name: "maxCallsPerSecondPerCaller", value: 10, retryAfterMs: 100 },
};

/** A stream, and a name, to which the caller comes back with newer and newer generations. */
function returning() {
  const { relay, clock, splice, told } = resumableStream(limits);
  let generation = 0;
  const resume = (caller = someCaller, legToken = relay.legToken("listener", splice.id)) => {
    generation += 1;
    const open = { streamId: splice.id, legToken, name: "", capabilities: resumes, waitForListenerMs: 0 };
    return relay.resume("listener", { ...open, resume: { generation } }, noFacts, caller);
  };
  const held = relay.listen("other", false, { isResumable: true, caller: someCaller });
  const takeUp = () => {
    generation += 1;
    const claim = { name: "other", listed: false, isResumable: true, ownerKey: "", caller: someCaller };
    return relay.takeUp(claim, { leaseId: held.lease.id, leaseToken: held.token, generation });
  };
  return { relay, clock, told, resume, takeUp };
}

describe("Relay.resume and Relay.takeUp", () => {
  test("let all that a caller may have come back at once, and then so much in a second", () => {
    const { clock, resume, takeUp, told } = returning();
    for (let back = 0; back < burst / 2; back += 1) {
      resume();
      takeUp();
    }
    expect([thrown(() => resume()), thrown(takeUp)]).toMatchObject([tooOften, tooOften]);
    clock.advance(100);
    resume();
    expect(thrown(takeUp)).toMatchObject(tooOften);
    expect(told).toMatchObject([{ kind: "limit-reached", limit: "maxCallsPerSecondPerCaller" }]);
  });

  test("hold back nobody else, and nobody for a stranger at the same address that has no token", () => {
    const { resume } = returning();
    for (let guess = 0; guess < 2 * burst; guess += 1) {
      expect(thrown(() => resume(someCaller, "guessed")).failure).toBe(Failure.TOKEN_INVALID);
    }
    for (let back = 0; back < burst; back += 1) resume();
    expect(thrown(() => resume())).toMatchObject(tooOften);
    resume(localCaller);
    resume({ ...someCaller, address: "192.0.2.2" });
  });

  test("count those whom a policy has let in by who they are, so that a proxy may bring back many", () => {
    const grant = ({ token }: { token: string }) => ({ subject: token });
    const { relay } = newRelay(limits, new TokenSigner(), grant);
    const nameOf = (token: string) => {
      const request = { action: "listen" as const, name: token, token, caller: someCaller, metadata: {} };
      const { caller } = relay.admit(request) as Admitted;
      const { lease, token: leaseToken } = relay.listen(token, false, { isResumable: true, caller });
      let generation = 0;
      return () => {
        generation += 1;
        const claim = { name: token, listed: false, isResumable: true, ownerKey: "", caller: someCaller };
        return relay.takeUp(claim, { leaseId: lease.id, leaseToken, generation });
      };
    };
    for (const takeUp of [nameOf("ann"), nameOf("bob")]) {
      for (let back = 0; back < burst; back += 1) takeUp();
      expect(thrown(takeUp)).toMatchObject(tooOften);
    }
  });

  test("let a thousand streams of one address come back with the default limits", () => {
    const { admission } = newRelay().relay;
    for (let back = 0; back < 1_000; back += 1) admission.countReturn(someCaller, undefined);
  });
});
