import { createRouterTransport } from "@connectrpc/connect";
import { expect, test } from "vitest";
import { LinkService } from "../../gen/streamserver/v1/link_pb.js";
import { Deferred } from "../../stream/deferred.js";
import { StreamError } from "../../stream/stream-error.js";
import { openFetchLink } from "../../web/fetch-link.js";
import { FakeClock } from "../fakes/fake-clock.js";
import { rejection } from "../fakes/outcome.js";

test("a link that is given up while it opens ends its request, and says why", async () => {
  const [asked, ended] = [new Deferred<void>(), new Deferred<void>()];
  const carrier = createRouterTransport((router) => {
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
  const opening = rejection(openFetchLink(carrier, clock, leaving.signal));
  await asked.promise;
  const why = new StreamError("left");
  leaving.abort(why);
  expect(await opening).toBe(why);
  await ended.promise;
  expect(clock.timers).toBe(0);
  expect(await rejection(openFetchLink(carrier, clock, leaving.signal))).toBe(why);
});
