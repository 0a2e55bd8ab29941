import { afterAll, beforeAll, describe, test } from "vitest";
import type { Need } from "../../contract/http/http-case.js";
import { callCase, httpContract, isPlayable, nameOf, serveContract } from "../../contract/http/http-contract.js";
import { holdsNothing, openRelay, type TestRelay } from "../relay-ports.js";
import { curlFetch, stopCurlFetches } from "./curl-fetch.js";
import { failing, heldBytes } from "./gateway-fetch.js";
import { type Http2Fetch, openHttp2Fetch } from "./http2-fetch.js";

const playable = (has: readonly Need[]) => httpContract.filter((httpCase) => isPlayable(httpCase, has));

const callers = [
  { name: "Node's fetch", fetch },
  { name: "curl", fetch: curlFetch },
];

describe.each(callers)("the gateway by path, called by $name over HTTP/1.1", ({ fetch }) => {
  let relay: TestRelay;
  let server: Awaited<ReturnType<typeof serveContract>>;

  beforeAll(async () => {
    relay = await openRelay({ gateway: { by: "path" } });
    server = await serveContract(relay.origin, "contract");
  });

  afterAll(async () => {
    stopCurlFetches();
    await server?.end();
    await holdsNothing(relay, "links");
    await relay?.close();
  });

  test.each(playable([]))("$name", async (httpCase) => {
    const base = `${relay.origin}/~/${encodeURIComponent(nameOf(httpCase, "contract"))}`;
    await callCase(httpCase, failing(fetch), base, heldBytes);
  });
});

describe("the gateway by host, called over HTTP/2", () => {
  let relay: TestRelay;
  let server: Awaited<ReturnType<typeof serveContract>>;
  let client: Http2Fetch;

  beforeAll(async () => {
    relay = await openRelay({ gateway: { by: "host", host: "relay.example" } });
    server = await serveContract(relay.origin, "contract");
    client = openHttp2Fetch(relay.origin);
  });

  afterAll(async () => {
    await client?.close();
    await server?.end();
    await holdsNothing(relay, "links");
    await relay?.close();
  });

  test.each(playable(["duplex", "trailers", "any head", "cookies"]))("$name", (httpCase) =>
    callCase(httpCase, failing(client.fetch), `http://${nameOf(httpCase, "contract")}.relay.example`, heldBytes),
  );
});
