import { afterAll, beforeAll, describe, test } from "vitest";
import { serveContract } from "../../contract/http/http-contract.js";
import { holdsNothing, openRelay, type TestRelay } from "../relay-ports.js";
import { type GatewayCaller, gatewayOptions, gatewayWays } from "./gateway-way.js";

describe.each(gatewayWays)("the gateway $name", ({ by, cases, open }) => {
  let relay: TestRelay;
  let server: Awaited<ReturnType<typeof serveContract>>;
  let caller: GatewayCaller;

  beforeAll(async () => {
    relay = await openRelay({ gateway: gatewayOptions[by] });
    server = await serveContract(relay.origin, "contract");
    caller = open(relay);
  });

  afterAll(async () => {
    await caller?.close();
    await server?.end();
    await holdsNothing(relay, "links");
    await relay?.close();
  });

  test.each(cases)("$name", (httpCase) => caller.call(httpCase, "contract"));
});
