import { describe, expect, test } from "vitest";
import { checkedHosts, hostNameOf } from "../../../../server/http/page/hosts.js";

describe("checkedHosts", () => {
  test("returns names as the URL standard writes them", () => {
    const given = ["Relay.Example.com", "localhost", "127.0.0.1", "::1", "[::2]", "bücher.example"];
    const names = ["relay.example.com", "localhost", "127.0.0.1", "[::1]", "[::2]", "xn--bcher-kva.example"];
    expect(checkedHosts(given)).toEqual(names);
    expect(checkedHosts("*")).toBe("*");
  });

  test.each<[unknown]>([
    [[]],
    ["relay.example.com"],
    [["relay.example.com:8080"]],
    [["relay.example.com:80"]],
    [["relay.example.com:"]],
    [["http://relay.example.com"]],
    [["relay.example.com/"]],
    [["user@relay.example.com"]],
    [["*.example.com"]],
    [["*"]],
    [[""]],
    [["a b"]],
    [[5]],
    [null],
  ])("refuses %j, which no Host header would match", (hosts) => {
    expect(() => checkedHosts(hosts)).toThrow(RangeError);
  });
});

describe("hostNameOf", () => {
  test.each([
    ["relay.example.com:8080", "relay.example.com"],
    ["RELAY.example.com", "relay.example.com"],
    ["[::1]:8080", "[::1]"],
    ["127.0.0.1:80", "127.0.0.1"],
    ["relay.example.com@evil.example", undefined],
    ["relay.example.com/evil.example", undefined],
    ["relay.example.com/", undefined],
    ["relay.example.com?evil.example", undefined],
    ["relay.example.com:99999", undefined],
    ["", undefined],
    [undefined, undefined],
  ])("of %j is %j", (host, name) => {
    expect(hostNameOf(host)).toBe(name);
  });
});
