import { expect, test } from "vitest";
import { bearerToken } from "../../../../server/rpc/bearer-token.js";

test.each([
  ["Bearer a.b-c_d=", "a.b-c_d="],
  ["bearer  a ", "a"],
  ["Basic dXNlcjpwYXNz", ""],
  ["Bearer", ""],
  ["Bearer a b", ""],
  [undefined, ""],
  [null, ""],
])("bearerToken of %j is %j", (header, token) => {
  expect(bearerToken(header)).toBe(token);
});
