import { Code, type ContextValues, createContextValues, createHandlerContext } from "@connectrpc/connect";
import { describe, expect, test } from "vitest";
import { Failure } from "../../../../gen/streamserver/v1/failure_pb.js";
import { RelayService } from "../../../../gen/streamserver/v1/relay_pb.js";
import { closeError } from "../../../../link/packet/close-code.js";
import { type CallEnd, callEnd, callerContextKey, callerOf } from "../../../../server/rpc/caller.js";
import { StreamError, type StreamErrorOptions } from "../../../../stream/error/stream-error.js";
import { someCaller } from "../../../fakes/relays.js";

test("callerOf tells the caller that the values of the call name, and nothing that its headers claim", () => {
  const contextOf = (contextValues: ContextValues) =>
    createHandlerContext({
      service: RelayService,
      method: RelayService.method.list,
      protocolName: "connect",
      requestMethod: "POST",
      url: "http://relay.example",
      requestHeader: { origin: "https://said.example" },
      contextValues,
    });
  expect(callerOf(contextOf(createContextValues().set(callerContextKey, someCaller)))).toBe(someCaller);
  expect(callerOf(contextOf(createContextValues()))).toEqual({ origin: "", address: "", door: "http" });
});

describe("callEnd", () => {
  test.each<[string, StreamErrorOptions, CallEnd]>([
    ["a channel that its caller reset", { code: Code.Canceled }, "canceled"],
    ["a link that ended with a goodbye", { code: Code.Canceled, failure: Failure.LEG_LOST }, "left"],
    ["a link whose connection broke", { failure: Failure.LEG_LOST }, "broken"],
    ["a link that broke a rule", { failure: Failure.PROTOCOL_VIOLATION }, "broken"],
  ])("takes %s for what it is", (_what, init, end) => {
    expect(callEnd(new StreamError("over", init))).toBe(end);
  });

  test.each<[string, number, CallEnd]>([
    ["1000, which the client of this project sends when a page is left", 1000, "left"],
    ["1001, which a browser sends by itself", 1001, "broken"],
    ["1006, where no close frame came", 1006, "broken"],
  ])("takes the end of a WebSocket with %s, for what it is", (_what, closeCode, end) => {
    const { code, message } = closeError(closeCode, "");
    expect(callEnd(new StreamError(message, { code, failure: Failure.LEG_LOST }))).toBe(end);
  });
});
