import { describe, expect, test } from "vitest";
import { UsageError } from "../../../cli/command/command.js";
import { parseHttpTarget } from "../../../cli/http/http-target.js";

describe("parseHttpTarget", () => {
  test.each([
    ["3000", "localhost", 3000, "localhost:3000"],
    ["dev.local:8080", "dev.local", 8080, "dev.local:8080"],
    ["http://127.0.0.1:3000/", "127.0.0.1", 3000, "127.0.0.1:3000"],
    ["http://dev.local", "dev.local", 80, "dev.local"],
    ["[::1]:3000", "::1", 3000, "[::1]:3000"],
  ])("reads %s", (text, host, port, authority) => {
    expect(parseHttpTarget(text)).toEqual({ host, port, authority });
  });

  test.each([
    "",
    "0",
    "70000",
    "localhost:70000",
    "https://localhost:3000",
    "http://localhost:3000/path",
    "http://user@localhost:3000",
    "localhost:3000?a",
    "unix:/socket",
  ])("refuses %s", (text) => {
    expect(() => parseHttpTarget(text)).toThrow(UsageError);
  });
});
