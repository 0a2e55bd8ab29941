import { setFlagsFromString } from "node:v8";
import { runInNewContext } from "node:vm";
import { StreamClient } from "browser-stream-server";
import { afterAll, beforeAll, describe, expect, test } from "vitest";
import { createRpcTransport } from "../../../link/rpc-transport.js";
import { fetchClient } from "../../../web/transport/fetch-client.js";
import { growthOverEcho, maxHeldBytes } from "../../contract/held-memory.js";
import { openRelay, type TestRelay } from "../relay-ports.js";
import { allWays, type Way } from "../ways.js";

setFlagsFromString("--expose-gc");
const collectGarbage = runInNewContext("gc") as () => void;

/** A page's own, where no WebSocket can be had. */
const pageFetch = (baseUrl: string): Way => ({
  transport: createRpcTransport({ httpClient: fetchClient, baseUrl }),
  close: () => {},
});

let relay: TestRelay;

beforeAll(async () => {
  relay = await openRelay();
});

afterAll(() => relay.close());

describe.each(Object.entries({ ...allWays, "a page's link over fetch": pageFetch }))("over %s", (_, create) => {
  let way: Way;

  beforeAll(() => {
    way = create(relay.url);
  });

  afterAll(() => way.close());

  test("a stream holds nothing of what it has received", async () => {
    const client = StreamClient(way.transport);
    const held = await growthOverEcho("memory", way.transport, (name) => client.connect(name), collectGarbage);
    expect(held).toBeLessThan(maxHeldBytes);
  });
});

test("a stream of the relay's own process holds nothing of what it has received", async () => {
  const { origin, proxy } = relay;
  const held = await growthOverEcho("memory", origin, (name) => proxy.connect(name), collectGarbage);
  expect(held).toBeLessThan(maxHeldBytes);
});
