import { afterAll, beforeAll, describe, test } from "vitest";
import { callOver, httpContract, serveContract } from "../../contract/http/http-contract.js";
import { holdsNothing, openRelay, type TestRelay } from "../relay-ports.js";

describe("createFetch and serve in Node", () => {
  let relay: TestRelay;
  let server: Awaited<ReturnType<typeof serveContract>>;

  beforeAll(async () => {
    relay = await openRelay();
    server = await serveContract(relay.origin, "contract");
  });

  afterAll(async () => {
    await server?.end();
    await holdsNothing(relay, "links");
    await relay?.close();
  });

  test.each(httpContract)("$name", (httpCase) => callOver(httpCase, relay.origin, "contract"));
});
