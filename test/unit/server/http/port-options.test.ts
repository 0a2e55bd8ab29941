import { createServer } from "node:http";
import { expect, test } from "vitest";
import { portOptions } from "../../../../server/http/port/port-options.js";

test.each([10_000, 300_001, 2_147_483_647])("portOptions for an openTimeoutMs of %i make a server", (openTimeoutMs) => {
  expect(createServer(portOptions(openTimeoutMs).http1).headersTimeout).toBe(openTimeoutMs);
});
