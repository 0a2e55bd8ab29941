import { readFileSync } from "node:fs";
import { expect, test } from "vitest";
import { defaultLimits } from "../../../server/admission/limits.js";
import { limitsPage } from "../../../tools/limits-page/limits-page.js";

test("limitsPage has a row for each limit of the relay, and so has the README", () => {
  const limitsOf = (page: string) => [...page.matchAll(/^\| `(\w+)` \|/gm)].map(([, name]) => name).sort();
  const names = Object.keys(defaultLimits).sort();
  expect(limitsOf(limitsPage())).toEqual(names);
  const readme = readFileSync(new URL("../../../README.md", import.meta.url), "utf8");
  expect(limitsOf(readme)).toEqual(expect.arrayContaining(names));
});
