import { Code, ConnectError, createRouterTransport } from "@connectrpc/connect";
import { expect, test } from "vitest";
import { Failure } from "../../../../gen/streamserver/v1/failure_pb.js";
import { RelayService } from "../../../../gen/streamserver/v1/relay_pb.js";
import { toConnectError } from "../../../../stream/error/failure-detail.js";
import { StreamError } from "../../../../stream/error/stream-error.js";
import { Transports } from "../../../../web/transport/transports.js";
import { FakeClock } from "../../../fakes/fake-clock.js";
import { rejection } from "../../../fakes/outcome.js";

const away = () => new ConnectError("away", Code.Unavailable);
const relayUrl = "https://relay.example";

/** A transport to a relay that is away the first time, and how often it was asked. */
function comingTransport() {
  const asked = { times: 0 };
  const transport = createRouterTransport(({ service }) => {
    service(RelayService, {
      // biome-ignore lint/correctness/useYield: it answers with an error
      async *connect() {
        asked.times += 1;
        if (asked.times === 1) throw away();
        throw toConnectError(new StreamError("no Open", { failure: Failure.PROTOCOL_VIOLATION }));
      },
    });
  });
  return { transport, asked };
}

test("a URL whose relay was away is asked again, and once it is there, not any more", async () => {
  const { transport } = comingTransport();
  const urls: string[] = [];
  const transports = new Transports(async (url) => {
    urls.push(url.href);
    if (urls.length === 1) throw away();
    return transport;
  }, new FakeClock());
  const resolve = () => transports.resolve(relayUrl, "/prefix");
  expect((await rejection(resolve())).code).toBe(Code.Unavailable);
  for (let times = 0; times < 2; times += 1) expect(await resolve()).toBe(transport);
  expect(urls).toEqual(Array(2).fill(`${relayUrl}/prefix`));
});

test("a transport whose relay was away is asked again, and once it is there, not any more", async () => {
  const { transport, asked } = comingTransport();
  const transports = new Transports(() => Promise.reject(new Error("there is no URL")), new FakeClock());
  const resolve = () => transports.resolve(transport, "");
  expect((await rejection(resolve())).code).toBe(Code.Unavailable);
  for (let times = 0; times < 2; times += 1) expect(await resolve()).toBe(transport);
  expect(asked.times).toBe(2);
});

test("what is no URL and no transport is the caller's mistake, and no lost connection", async () => {
  const transports = new Transports(async () => Promise.reject(away()), new FakeClock());
  const refusals = [null, undefined, 8080, {}].map((given) => rejection(transports.resolve(given as never, "")));
  for (const { code } of await Promise.all(refusals)) expect(code).toBe(Code.InvalidArgument);
});
