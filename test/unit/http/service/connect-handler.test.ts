import { Code } from "@connectrpc/connect";
import { expect, test } from "vitest";
import { connectHandler } from "../../../../http/service/connect-handler.js";
import { thrown } from "../../../fakes/outcome.js";

test("connectHandler leaves the time of a call to its deadline", () => {
  expect(connectHandler(() => {}).headTimeoutMs).toBe(Number.POSITIVE_INFINITY);
});

test("connectHandler refuses routes that are no function, and options that it does not have", () => {
  const invalid = { code: Code.InvalidArgument };
  expect(thrown(() => connectHandler({} as never))).toMatchObject(invalid);
  expect(thrown(() => connectHandler(() => {}, { fallback: "/" as never }))).toMatchObject(invalid);
  expect(thrown(() => connectHandler(() => {}, { readMaxByte: 1 } as never))).toMatchObject(invalid);
});
