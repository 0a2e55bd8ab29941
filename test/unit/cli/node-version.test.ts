import { readFileSync } from "node:fs";
import { expect, test } from "vitest";
import { isSupportedNode, wordsForRange } from "../../../cli/node-version.js";

test.each([
  ["v22.23.2", true],
  ["v22.24.0", true],
  ["v22.23.1", false],
  ["v23.11.0", false],
  ["v24.18.0", false],
  ["v24.18.1", true],
  ["v24.21.0-nightly20260101", true],
  ["v100.0.0", true],
  ["v9.99.99", false],
])("isSupportedNode(%s) is %s", (version, supported) => {
  expect(isSupportedNode(version, "^22.23.2 || >=24.18.1")).toBe(supported);
});

test("wordsForRange has each version of the package's range, and this Node is in it", () => {
  const { engines } = JSON.parse(readFileSync(new URL("../../../package.json", import.meta.url), "utf8"));
  for (const [version] of engines.node.matchAll(/[\d.]+/g)) expect(wordsForRange(engines.node)).toContain(version);
  expect(isSupportedNode(process.version, engines.node)).toBe(true);
});
