import type { IncomingMessage } from "node:http";
import { describe, expect, test } from "vitest";
import { checkedGatewayOptions } from "../../../../../server/gateway/gateway-options.js";
import { placeOf, visitRoute } from "../../../../../server/gateway/visit/visit-route.js";

const byPath = checkedGatewayOptions({ by: "path" }, []);
const byHost = checkedGatewayOptions({ by: "host", host: "relay.example" }, []);

function placed(options: typeof byPath, host: string, url: string, originalUrl = url) {
  const request = { url, originalUrl, headers: { host }, rawHeaders: ["Host", host] } as unknown as IncomingMessage;
  const route = visitRoute(request, options, (name) => name === "relay.example");
  return (
    route && { name: route.name, rest: route.rest, isAtName: route.isAtName, place: placeOf(route, options, "https") }
  );
}

describe("visitRoute", () => {
  test("finds a name and its place by path, below what a framework has mounted the relay at", () => {
    const place = { origin: "https://relay.example", root: "/~/a%2Fb/" };
    const route = { name: "a/b", rest: "code", isAtName: true, place };
    expect(placed(byPath, "relay.example", "/~visit/a%2Fb/code?x=1")).toEqual(route);
    expect(placed(byPath, "relay.example", "/~visit/a%2Fb/code", "/app/~visit/a%2Fb/code")).toEqual({
      ...route,
      place: { ...place, root: "/app/~/a%2Fb/" },
    });
    expect(placed(byPath, "relay.example", "/~visit/a%2Fb")).toMatchObject({ rest: "" });
    expect(placed(byPath, "relay.example", "/~/a/~visit/a/code")).toBeUndefined();
  });

  test("finds the place of a name in its own host, and none for a name that no host has", () => {
    const place = { origin: "https://name.relay.example:8080", root: "/" };
    expect(placed(byHost, "relay.example:8080", "/~visit/name")).toMatchObject({ isAtName: false, place });
    expect(placed(byHost, "name.relay.example:8080", "/~visit/name/code")).toMatchObject({ isAtName: true, place });
    expect(placed(byHost, "relay.example", "/~visit/a%2Fb")).toMatchObject({ place: undefined });
    // The paths of other names are their listeners'.
    expect(placed(byHost, "other.relay.example", "/~visit/name/code")).toBeUndefined();
  });
});
