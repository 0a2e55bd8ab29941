import { fromJsonString } from "@bufbuild/protobuf";
import { Code } from "@connectrpc/connect";
import { afterEach, beforeEach, describe, expect, test, vi } from "vitest";
import { Failure } from "../../../../gen/streamserver/v1/failure_pb.js";
import { type SendRequest, SendRequestSchema } from "../../../../gen/streamserver/v1/link_pb.js";
import { goodbyeTimeoutMs } from "../../../../link/packet/link-message.js";
import { StreamError } from "../../../../stream/error/stream-error.js";
import { beaconTo, withGoodbye } from "../../../../web/link/goodbye.js";
import type { LinkKind } from "../../../../web/link/opened-link.js";
import { pageLeftError } from "../../../../web/page/page-life.js";
import { FakeClock } from "../../../fakes/fake-clock.js";
import { FakePage } from "../../../fakes/fake-page.js";
import { loneLink, newWatch } from "../../../fakes/links.js";
import { settled } from "../../../fakes/outcome.js";

const proof = { linkId: "link", linkToken: "token" };
const goodbye = {
  ...proof,
  packets: [{ channel: 0, content: { case: "reset", value: { code: Code.Canceled, failure: Failure.LEG_LOST } } }],
};

let page: FakePage;
let clock: FakeClock;
let said: SendRequest[];

beforeEach(() => {
  page = new FakePage();
  clock = new FakeClock();
  said = [];
});

afterEach(() => vi.unstubAllGlobals());

async function opened(kind: LinkKind) {
  const { link } = loneLink();
  const open = async () => ({ kind, link, watch: newWatch(link, clock), proof });
  await withGoodbye(open, (message) => said.push(message), clock)(new AbortController().signal);
  return link;
}

describe("withGoodbye", () => {
  test("has a fetch link say goodbye when its page is left", async () => {
    await opened("fetch");
    page.happens("pagehide");
    expect(said).toMatchObject([goodbye]);
  });

  test("leaves it to the close code of a WebSocket that is open, or that the pool has closed", async () => {
    await opened("websocket");
    const left = await opened("websocket");
    left.close(pageLeftError());
    await settled();
    page.happens("pagehide");
    expect(said).toEqual([]);
  });

  test.each(["websocket", "fetch"] as const)("has a %s link say goodbye that was cut a moment before", async (kind) => {
    const link = await opened(kind);
    link.close(new StreamError("cut", { failure: Failure.LEG_LOST }));
    await settled();
    clock.advance(goodbyeTimeoutMs - 1);
    page.happens("pagehide");
    expect(said).toMatchObject([goodbye]);
    clock.advance(1);
    page.happens("pagehide");
    expect(said).toHaveLength(1);
    expect([page.listeners, clock.timers]).toEqual([0, 0]);
  });
});

test("beaconTo sends the goodbye as text, so that another origin takes it unasked", async () => {
  const sendBeacon = vi.fn();
  vi.stubGlobal("navigator", { sendBeacon });
  const { link } = loneLink();
  const open = async () => ({ kind: "fetch" as const, link, watch: newWatch(link, clock), proof });
  await withGoodbye(open, beaconTo("https://relay.example/prefix/"), clock)(new AbortController().signal);
  page.happens("pagehide");
  const [[url, text]] = sendBeacon.mock.calls as [[URL, string]];
  expect(url.href).toBe("https://relay.example/prefix/streamserver.v1.LinkService/Send");
  expect(fromJsonString(SendRequestSchema, text)).toMatchObject(goodbye);
});
