import { describe, expect, test } from "vitest";
import { auditOutcome } from "../../gate/audit.ts";

const none = { vulnerabilities: {} };
const one = {
  vulnerabilities: {
    ws: { severity: "high", range: "<8.17.1", via: [{ title: "DoS", url: "https://advisory.example/1" }] },
    uses: { severity: "high", range: "*", via: ["ws"] },
  },
};

describe("auditOutcome", () => {
  test("fails for what users install, and names it", () => {
    const outcome = auditOutcome(one, one);
    expect(outcome).toMatchObject({ kind: "failed", why: expect.stringMatching(/ws <8\.17\.1 \(high\).*advisory/) });
  });

  test("notes what a tool of the repository has, and nothing where there is nothing", () => {
    expect(auditOutcome(none, one)).toEqual({ kind: "passed", note: expect.stringContaining("ws <8.17.1") });
    expect(auditOutcome(none, none)).toEqual({ kind: "passed" });
  });

  test.each([
    [{ message: "405 Method Not Allowed" }, none],
    [none, { message: "405 Method Not Allowed" }],
  ])("passes where the registry gives no answer, and says so", (ofUsers, ofAll) => {
    const note = expect.stringMatching(/not checked.*405 Method Not Allowed/);
    expect(auditOutcome(ofUsers, ofAll)).toEqual({ kind: "passed", note });
  });
});
