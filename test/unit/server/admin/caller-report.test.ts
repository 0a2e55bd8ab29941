import { create, toBinary } from "@bufbuild/protobuf";
import { expect, test } from "vitest";
import { CallerReportSchema } from "../../../../gen/streamserver/v1/admin_pb.js";
import { callerReport } from "../../../../server/admin/caller-report.js";

test("callerReport cuts what a caller says of itself, also within an emoji", () => {
  const long = `x${"👩".repeat(10_000)}`;
  const claims = {
    subject: long,
    name: long,
    meta: {},
    tokenId: "",
    issuedAtMs: 0,
    expiresAtMs: undefined,
    cut: false,
  };
  const report = callerReport({ door: "http", address: "192.0.2.1", origin: long, claims });
  for (const fact of [report.origin, report.subject, report.name]) expect(fact?.length).toBe(257);
  expect(toBinary(CallerReportSchema, create(CallerReportSchema, report)).byteLength).toBeLessThan(2_000);
});
