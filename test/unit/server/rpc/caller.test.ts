import { createContextValues, createHandlerContext } from "@connectrpc/connect";
import { expect, test } from "vitest";
import { RelayService } from "../../../../gen/streamserver/v1/relay_pb.js";
import { callerOrigin, linkOriginKey } from "../../../../server/rpc/caller.js";

function contextOf(linkOrigin: string | undefined) {
  return createHandlerContext({
    service: RelayService,
    method: RelayService.method.list,
    protocolName: "connect",
    requestMethod: "POST",
    url: "http://relay.example",
    requestHeader: { origin: "https://said.example" },
    contextValues: createContextValues().set(linkOriginKey, linkOrigin),
  });
}

test("on a link the origin is the link's, whatever a page's headers say, and otherwise the request's", () => {
  expect(callerOrigin(contextOf("https://linked.example"))).toBe("https://linked.example");
  expect(callerOrigin(contextOf(""))).toBe("");
  expect(callerOrigin(contextOf(undefined))).toBe("https://said.example");
});
