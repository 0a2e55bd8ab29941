import { createContextValues, createHandlerContext } from "@connectrpc/connect";
import { expect, test } from "vitest";
import { RelayService } from "../../../../gen/streamserver/v1/relay_pb.js";
import { callerFrom, callerOf, linkCallerKey } from "../../../../server/rpc/caller.js";

function contextOf(linkOrigin: string | undefined) {
  return createHandlerContext({
    service: RelayService,
    method: RelayService.method.list,
    protocolName: "connect",
    requestMethod: "POST",
    url: "http://relay.example",
    requestHeader: { origin: "https://said.example" },
    contextValues: createContextValues().set(
      linkCallerKey,
      linkOrigin === undefined ? undefined : callerFrom(linkOrigin),
    ),
  });
}

test("callerOf tells the origin of a link on its channels, whatever headers say, and otherwise that of the request", () => {
  expect(callerOf(contextOf("https://linked.example")).origin).toBe("https://linked.example");
  expect(callerOf(contextOf("")).origin).toBe("");
  expect(callerOf(contextOf(undefined)).origin).toBe("https://said.example");
});
