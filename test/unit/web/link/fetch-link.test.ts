import { createRouterTransport } from "@connectrpc/connect";
import { expect, test, vi } from "vitest";
import { Failure } from "../../../../gen/streamserver/v1/failure_pb.js";
import { LinkService } from "../../../../gen/streamserver/v1/link_pb.js";
import { ChannelBodies } from "../../../../link/channel/channel-bodies.js";
import { StreamError } from "../../../../stream/error/stream-error.js";
import { Deferred } from "../../../../stream/platform/deferred.js";
import { maxSentPacketBytes } from "../../../../web/link/batch-sender.js";
import { openFetchLink } from "../../../../web/link/fetch-link.js";
import { FakeClock } from "../../../fakes/fake-clock.js";
import { body, request } from "../../../fakes/links.js";
import { promiseState, rejection } from "../../../fakes/outcome.js";

const openTimeoutMs = 10_000;

test("a link that is given up while it opens ends its request, and says why", async () => {
  const [asked, ended] = [new Deferred<void>(), new Deferred<void>()];
  const transport = createRouterTransport((router) => {
    router.service(LinkService, {
      async *receive(_request, { signal }) {
        signal.addEventListener("abort", () => ended.resolve());
        asked.resolve();
        await ended.promise;
      },
    });
  });
  const clock = new FakeClock();
  const leaving = new AbortController();
  const opening = rejection(openFetchLink({ transport }, clock, leaving.signal));
  await asked.promise;
  const why = new StreamError("left");
  leaving.abort(why);
  expect(await opening).toBe(why);
  await ended.promise;
  expect(clock.timers).toBe(0);
  expect(await rejection(openFetchLink({ transport }, clock, leaving.signal))).toBe(why);
});

test("a relay that opens no link in time does not answer", async () => {
  const transport = createRouterTransport((router) => {
    router.service(LinkService, {
      async *receive(_request, { signal }) {
        await new Promise((resolve) => signal.addEventListener("abort", resolve));
      },
    });
  });
  const clock = new FakeClock();
  const opening = openFetchLink({ transport }, clock);
  clock.advance(openTimeoutMs - 1);
  expect(await promiseState(opening)).toBe("pending");
  clock.advance(1);
  expect((await rejection(opening)).failure).toBe(Failure.LEG_LOST);
  vi.stubGlobal("location", new URL("https://page.example"));
  const openingInPage = rejection(openFetchLink({ transport }, clock));
  clock.advance(openTimeoutMs);
  vi.unstubAllGlobals();
  expect((await openingInPage).failure).toBe(Failure.LIMIT_REACHED);
});

test("what is sent goes in packets that a slow network takes to the relay in time", async () => {
  const sizes: number[] = [];
  const ended = new Deferred<void>();
  const transport = createRouterTransport((router) => {
    router.service(LinkService, {
      async *receive() {
        const limits = { maxChannels: 1, maxPacketBytes: 1_048_576, maxBatchBytes: 1_048_576 };
        yield { opened: { linkId: "link", linkToken: "token", heartbeatIntervalMs: 1_000, ...limits } };
        await ended.promise;
      },
      send({ packets }) {
        for (const { content } of packets) if (content.case === "data") sizes.push(content.value.byteLength);
        return {};
      },
    });
  });
  const { link } = await openFetchLink({ transport }, new FakeClock());
  await new ChannelBodies(link.open(request())).send(body(100_000));
  await expect.poll(() => sizes.reduce((sum, size) => sum + size, 0)).toBe(100_000);
  expect(Math.max(...sizes)).toBe(maxSentPacketBytes);
  link.close(new StreamError("over"));
  ended.resolve();
});
