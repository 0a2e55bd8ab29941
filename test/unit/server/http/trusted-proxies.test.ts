import { describe, expect, test } from "vitest";
import { TrustedProxies } from "../../../../server/http/request/trusted-proxies.js";

const proxies = TrustedProxies.from(["127.0.0.1", "10.0.0.0/8", "fd00::/8"]);

describe("TrustedProxies.addressOf", () => {
  test.each<[what: string, connection: string, header: string | string[] | undefined, address: string]>([
    ["the connection's, without a header", "10.0.0.1", undefined, "10.0.0.1"],
    ["the one that a trusted proxy says", "10.0.0.1", "192.0.2.7", "192.0.2.7"],
    ["the connection's, where no trusted proxy asks", "192.0.2.1", "192.0.2.7", "192.0.2.1"],
    ["the last that a trusted proxy says, whatever its caller forged", "10.0.0.1", "1.1.1.1, 192.0.2.7", "192.0.2.7"],
    ["the one in front of a row of proxies", "::ffff:127.0.0.1", "1.1.1.1, 192.0.2.7, 10.1.1.1 , fd00::1", "192.0.2.7"],
    ["the outermost proxy's, where all are trusted", "10.0.0.1", "10.0.0.3,10.0.0.2", "10.0.0.3"],
    ["the proxy's, where it says nothing that is an address", "10.0.0.1", "192.0.2.7, unknown", "10.0.0.1"],
    ["the proxy's, for an empty header", "10.0.0.1", "", "10.0.0.1"],
    ["one with a port", "10.0.0.1", "192.0.2.7:4711", "192.0.2.7"],
    ["one of IPv6 with a port", "10.0.0.1", "[2001:db8::7]:4711", "2001:db8::7"],
    ["one of IPv4 in IPv6", "10.0.0.1", "::FFFF:192.0.2.7", "192.0.2.7"],
    ["that of several headers", "10.0.0.1", ["1.1.1.1", "192.0.2.7"], "192.0.2.7"],
    ["none for a connection that has none", "", "192.0.2.7", ""],
    ["one of IPv4 in IPv6, in hexadecimal digits", "10.0.0.1", "::ffff:7f00:1", "127.0.0.1"],
    ["one of IPv4 in IPv6, with all its zeros", "10.0.0.1", "[0:0:0:0:0:ffff:c000:207]:80", "192.0.2.7"],
    ["one of IPv6 without its zone", "10.0.0.1", "fe80::1%eth0", "fe80::1"],
    ["the one behind a proxy whose address has a zone", "fd00::1%eth0", "192.0.2.7", "192.0.2.7"],
    ["the proxy's, where a zone follows no address", "10.0.0.1", "%eth0", "10.0.0.1"],
    ["the proxy's, for a port out of nowhere", "10.0.0.1", ":80", "10.0.0.1"],
  ])("is %s", (_what, connection, header, address) => {
    expect(proxies.addressOf(connection, header).address).toBe(address);
  });

  test.each<[connection: string, header: string | undefined, isForwarded: boolean]>([
    ["127.0.0.1", undefined, false],
    ["127.0.0.1", "127.0.0.1", true],
    ["127.0.0.1", "unknown", true],
    ["192.0.2.1", "127.0.0.1", false],
  ])("from %s with %s, isForwarded is %s", (connection, header, isForwarded) => {
    expect(proxies.addressOf(connection, header)).toMatchObject({ isForwarded });
  });

  test("is the connection's as long as nobody is trusted", () => {
    const expected = { address: "127.0.0.1", isForwarded: false };
    expect(new TrustedProxies().addressOf("127.0.0.1", "192.0.2.7")).toEqual(expected);
  });
});
