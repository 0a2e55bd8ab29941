import { describe, expect, test } from "vitest";
import { UsageError } from "../../../cli/command/command.js";
import { inheritedSocket } from "../../../cli/serve/inherited-socket.js";

describe("inheritedSocket", () => {
  const own = String(process.pid);

  test("is the first descriptor behind standard output, if it was passed to this process", () => {
    expect(inheritedSocket({ LISTEN_PID: own, LISTEN_FDS: "1" })).toBe(3);
    expect(inheritedSocket({ LISTEN_PID: `${process.pid + 1}`, LISTEN_FDS: "1" })).toBeUndefined();
    expect(inheritedSocket({ LISTEN_PID: own })).toBeUndefined();
    expect(inheritedSocket({ LISTEN_FDS: "1" })).toBeUndefined();
  });

  test.each(["0", "2", "x", ""])("is refused where LISTEN_FDS is %j", (LISTEN_FDS) => {
    expect(() => inheritedSocket({ LISTEN_PID: own, LISTEN_FDS })).toThrow(UsageError);
  });
});
