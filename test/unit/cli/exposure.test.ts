import { describe, expect, test } from "vitest";
import { UsageError } from "../../../cli/command/command.js";
import { exposureOf, isLoopback } from "../../../cli/serve/exposure.js";

describe("isLoopback", () => {
  test.each([
    "127.0.0.1",
    "127.255.255.254",
    "::1",
    "[::1]",
    "0:0:0:0:0:0:0:1",
    "::ffff:127.0.0.1",
    "localhost",
    "LOCALHOST",
  ])("%s is reached from this machine alone", (host) => expect(isLoopback(host)).toBe(true));

  test.each([
    "0.0.0.0",
    "::",
    "128.0.0.1",
    "10.0.0.1",
    "::ffff:10.0.0.1",
    "::2",
    "localhost.example",
    "relay",
    "0",
    "",
  ])("%j may be reached from others", (host) => expect(isLoopback(host)).toBe(false));
});

describe("exposureOf", () => {
  const ownNames = expect.arrayContaining(["localhost", "127.0.0.1", "[::1]"]);

  test("is this machine alone, and its names, with nothing said", () => {
    expect(exposureOf({})).toEqual({ host: "127.0.0.1", shownHost: "localhost", hosts: ownNames });
    expect(exposureOf({ host: "" })).toEqual(exposureOf({}));
    expect(exposureOf({ host: "127.0.0.2" }).hosts).toContain("127.0.0.2");
    expect(exposureOf({ host: "::1" })).toEqual({ host: "::1", shownHost: "::1", hosts: ownNames });
  });

  test("is all interfaces, or the one that is named, if the relay is open", () => {
    expect(exposureOf({ open: true })).toEqual({ host: undefined, shownHost: undefined, hosts: ownNames });
    expect(exposureOf({ open: true, host: "10.0.0.1" })).toMatchObject({ host: "10.0.0.1", shownHost: "10.0.0.1" });
    for (const host of ["0.0.0.0", "::"]) {
      expect(exposureOf({ open: true, host })).toMatchObject({ host, shownHost: undefined });
    }
  });

  test("is the interface that is named, if the relay has a policy, and otherwise this machine alone", () => {
    expect(exposureOf({ hasPolicy: true, host: "0.0.0.0" })).toMatchObject({ host: "0.0.0.0" });
    expect(exposureOf({ hasPolicy: true })).toMatchObject({ host: "127.0.0.1" });
  });

  test.each(["0.0.0.0", "::", "10.0.0.1", "relay.example"])(
    "refuses %s in two lines, unless the relay is open or has a policy",
    (host) => {
      const refused = expect.objectContaining({ message: expect.stringContaining(host), advice: expect.any(String) });
      expect(() => exposureOf({ host })).toThrow(refused);
      expect(() => exposureOf({ host, open: false })).toThrow(UsageError);
    },
  );

  test("has the names of the certificate too, as far as they are no patterns", () => {
    const certificateNames = ["relay.example", "*.relay.example", "10.0.0.1", "fd00::1", "no name"];
    const { hosts } = exposureOf({ certificateNames });
    expect(hosts).toEqual([...exposureOf({}).hosts, "relay.example", "10.0.0.1", "[fd00::1]"]);
    expect(exposureOf({ certificateNames, hostName: ["other.example"] }).hosts).toEqual(["other.example"]);
  });

  test("takes names in place of the machine's own, and * for any", () => {
    expect(exposureOf({ hostName: ["relay.example"] }).hosts).toEqual(["relay.example"]);
    expect(exposureOf({ hostName: ["relay.example", "*"] }).hosts).toBe("*");
    for (const hostName of [[], ["relay.example:80"], ["*", "relay.example:80"], ["*.example"]]) {
      expect(() => exposureOf({ hostName })).toThrow(UsageError);
    }
  });
});
