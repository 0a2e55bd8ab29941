import { describe, expect, test } from "vitest";
import { Failure } from "../../../../gen/streamserver/v1/failure_pb.js";
import { Admission } from "../../../../server/admission/admission.js";
import { defaultLimits, type RelayLimits } from "../../../../server/admission/limits.js";
import type { Resource } from "../../../../server/admission/resource.js";
import { Warnings } from "../../../../server/admission/warnings.js";
import { FakeClock } from "../../../fakes/fake-clock.js";
import { thrown } from "../../../fakes/outcome.js";
import { someCaller } from "../../../fakes/relays.js";

function newAdmission(limits: Partial<RelayLimits> = {}) {
  const warnings = new Warnings(new FakeClock(), () => {});
  return new Admission({ limits: { ...defaultLimits, ...limits }, warnings });
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
