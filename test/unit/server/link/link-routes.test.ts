import type { MessageInitShape } from "@bufbuild/protobuf";
import { create } from "@bufbuild/protobuf";
import { Code, createClient, createConnectRouter, createRouterTransport } from "@connectrpc/connect";
import { describe, expect, test } from "vitest";
import { Failure, Hop } from "../../../../gen/streamserver/v1/failure_pb.js";
import {
  ChannelRequestSchema,
  LinkService,
  type Packet,
  type SendRequestSchema,
} from "../../../../gen/streamserver/v1/link_pb.js";
import type { ChannelUser } from "../../../../link/channel/channel-user.js";
import { goodbyeTimeoutMs, lastPacket } from "../../../../link/packet/link-message.js";
import { packetMessage } from "../../../../link/packet/outgoing-packet.js";
import { LinkRoutes } from "../../../../server/link/link-routes.js";
import { Links, type LinksInit, openTimeoutsWithoutCall } from "../../../../server/link/links.js";
import { Directory } from "../../../../server/relay/directory.js";
import type { Relay } from "../../../../server/relay/relay.js";
import { relayRoutes } from "../../../../server/rpc/relay-routes.js";
import { StreamError } from "../../../../stream/error/stream-error.js";
import { Deferred } from "../../../../stream/platform/deferred.js";
import { pageLeftError } from "../../../../web/page/page-life.js";
import { packet, request } from "../../../fakes/links.js";
import { rejection, settled, thrown } from "../../../fakes/outcome.js";
import { newRelay, someCaller, type TestRelay } from "../../../fakes/relays.js";

function linkRoutes(test: TestRelay = newRelay(), options: Partial<Pick<LinksInit, "serveChannel" | "handlers">> = {}) {
  const links = new Links({ ...test.relay, handlers: [], ...options });
  const routes = new LinkRoutes(links, test.relay);
  const client = createClient(
    LinkService,
    createRouterTransport((router) => routes.register(router)),
  );
  return { ...test, links, client };
}

/** The handlers of the relay's own RPCs. */
function routerOf(relay: Relay) {
  const router = createConnectRouter();
  relayRoutes(router, relay, new Directory(relay));
  return router;
}

/** Reads nothing of a channel, and calls `over` at its end. */
function silentUser(over: () => void): ChannelUser {
  return { onData() {}, onEnd() {}, onDrain() {}, onClosed: over };
}

/** Serves a call that holds something from its beginning, and never ends. */
const placed: LinksInit["serveChannel"] = (_channel, _request, _caller, _token, control) => {
  control.takePlace();
  return new Promise(() => {});
};

type Routes = ReturnType<typeof linkRoutes>;

/** Opens a link, and hears what the relay says on it. */
async function openLink({ client }: Routes) {
  const abort = new AbortController();
  const responses = client.receive({}, { signal: abort.signal })[Symbol.asyncIterator]();
  const first = await responses.next();
  const opened = first.value?.opened;
  if (opened === undefined) throw new Error("the link was not opened");
  const heard: Packet[] = [];
  const ended = (async () => {
    for (let next = await responses.next(); !next.done; next = await responses.next()) {
      heard.push(...next.value.packets);
    }
  })();
  ended.catch(() => {});
  const { linkId, linkToken } = opened;
  const send = (sequence: bigint, packets: Packet[] = []) => client.send({ linkId, linkToken, sequence, packets });
  return { opened, heard, ended, send, cancel: () => abort.abort() };
}

const opening = (channel: number) => packet({ channel, content: { case: "request", value: request() } });
const data = (bytes: number) => packet({ channel: 1, content: { case: "data", value: new Uint8Array(bytes) } });

test("a link is there while Receive is, and its channels with it", async () => {
  const routes = linkRoutes();
  const { opened, cancel, ended } = await openLink(routes);
  expect(opened).toMatchObject({ maxChannels: 512, heartbeatIntervalMs: 15_000 });
  expect(routes.links.counts).toEqual({ links: 1, channels: 0 });
  cancel();
  await rejection(ended);
  await settled();
  expect(routes.links.counts).toEqual({ links: 0, channels: 0 });
  expect(routes.clock.timers).toBe(0);
});

test("a link whose answer nobody reads any more is gone with its request", async () => {
  const { client, links, clock } = linkRoutes();
  const abort = new AbortController();
  const responses = client.receive({}, { signal: abort.signal })[Symbol.asyncIterator]();
  await responses.next();
  expect(links.counts.links).toBe(1);
  abort.abort();
  await settled();
  expect(links.counts.links).toBe(0);
  expect(clock.timers).toBe(0);
});

describe("a link of a relay with a policy", () => {
  const idleMs = openTimeoutsWithoutCall * 1_000;
  const withPolicy = () => newRelay({ openTimeoutMs: 1_000 }, undefined, () => ({}));

  test("ends when it had no call for a while, before its first one or after its last one", async () => {
    const calls: Deferred<void>[] = [];
    const serveChannel: LinksInit["serveChannel"] = async (channel, _request, _caller, _token, control) => {
      control.takePlace();
      const call = new Deferred<void>();
      calls.push(call);
      await call.promise;
      channel.fail(new StreamError("refused"));
    };
    const routes = linkRoutes(withPolicy(), { serveChannel });
    const { links, clock } = routes;
    const silent = await openLink(routes);
    const calling = await openLink(routes);
    clock.advance(idleMs - 1);
    await calling.send(1n, [opening(1)]);
    clock.advance(1);
    expect(await rejection(silent.ended)).toMatchObject({ failure: Failure.LEG_LOST, hop: Hop.RELAY });
    clock.advance(10 * idleMs);
    await settled();
    expect(links.counts).toEqual({ links: 1, channels: 1 });
    calls[0]?.resolve();
    await settled();
    clock.advance(idleMs - 1);
    await settled();
    expect(links.counts).toEqual({ links: 1, channels: 0 });
    clock.advance(1);
    expect(await rejection(calling.ended)).toMatchObject({ failure: Failure.LEG_LOST, hop: Hop.RELAY });
    await settled();
    expect([links.counts.links, clock.timers]).toEqual([0, 0]);
  });
});

describe("a call on a channel that says nothing", () => {
  const limits = { maxOpeningCalls: 1, openTimeoutMs: 1_000, authorizeTimeoutMs: 500 };
  const lateMs = 2 * limits.openTimeoutMs + limits.authorizeTimeoutMs;

  test("counts among those that open, which refuse one more, and is reset in time", async () => {
    const testRelay = newRelay(limits);
    const routes = linkRoutes(testRelay, {
      serveChannel: (channel) => new Promise((over) => channel.use(silentUser(over))),
    });
    const { send, heard } = await openLink(routes);
    const refusals: unknown[] = [];
    testRelay.relay.events.observe((event) => refusals.push(event));
    const content = { case: "request" as const, value: request("/streamserver.v1.RelayService/Connect") };
    await send(1n, [opening(1), packet({ channel: 2, content })]);
    await settled();
    const count = () => testRelay.relay.admission.count("opening call");
    expect([count(), routes.links.counts.channels]).toEqual([1, 1]);
    expect(heard.find(({ channel }) => channel === 2)?.content).toMatchObject({ case: "reset" });
    expect(refusals).toMatchObject([
      { kind: "refused", call: "connect", error: { limit: { name: "maxOpeningCalls" } }, caller: { door: "link" } },
    ]);
    testRelay.clock.advance(lateMs - 1);
    expect(count()).toBe(1);
    testRelay.clock.advance(1);
    await settled();
    expect([count(), routes.links.counts.channels]).toEqual([0, 0]);
    expect(heard.find(({ channel }) => channel === 1)?.content).toMatchObject({ case: "reset" });
  });

  test("counts no longer once it has taken a place", async () => {
    const testRelay = newRelay(limits);
    const routes = linkRoutes(testRelay, { serveChannel: placed });
    const { send } = await openLink(routes);
    await send(1n, [opening(1), opening(2)]);
    testRelay.clock.advance(lateMs);
    await settled();
    expect([testRelay.relay.admission.count("opening call"), routes.links.counts.channels]).toEqual([0, 2]);
  });
});

test("an answer on a channel that its caller does not read to the end is cut off in time", async () => {
  const limits = { openTimeoutMs: 1_000, authorizeTimeoutMs: 500, maxNameBytes: 300 };
  const testRelay = newRelay(limits);
  const { relay, clock } = testRelay;
  // More than the first window of a channel.
  for (let name = 0; name < 1_000; name += 1) relay.listen(`${"x".repeat(290)}${name}`, true);
  const { handlers } = routerOf(relay);
  const { send, heard } = await openLink(linkRoutes(testRelay, { handlers }));
  const list = {
    path: "/streamserver.v1.RelayService/List",
    headers: [{ name: "content-type", value: "application/proto" }],
  };
  await send(1n, [
    packet({ channel: 1, content: { case: "request", value: create(ChannelRequestSchema, list) } }),
    packet({ channel: 1, content: { case: "end", value: {} } }),
  ]);
  await settled();
  const ends = () =>
    heard.flatMap(({ content }) => (content.case === "end" || content.case === "reset" ? [content.case] : []));
  clock.advance(2 * limits.openTimeoutMs + limits.authorizeTimeoutMs - 1);
  await settled();
  expect([ends(), relay.admission.count("opening call")]).toEqual([[], 1]);
  clock.advance(1);
  await settled();
  expect([ends(), relay.admission.count("opening call")]).toEqual([["reset"], 0]);
});

test("a link of a relay without a policy may be idle for as long as it answers", async () => {
  const routes = linkRoutes(newRelay({ openTimeoutMs: 1_000 }));
  await openLink(routes);
  routes.clock.advance(10_000);
  await settled();
  expect(routes.links.counts.links).toBe(1);
});

describe("the goodbye of a link", () => {
  const goodbye = lastPacket(pageLeftError());

  test("ends it at once, whatever the number of its batch, and not only a link over Receive", async () => {
    const routes = linkRoutes();
    const { send, ended } = await openLink(routes);
    await send(1n, [opening(1)]);
    await send(7n, [goodbye]);
    expect(await rejection(ended)).toMatchObject({ code: Code.Canceled, failure: Failure.LEG_LOST });
    const { link, opened } = routes.links.open(someCaller, "", 1);
    const { linkId, linkToken } = opened as { linkId: string; linkToken: string };
    await routes.client.send({ linkId, linkToken, packets: [goodbye] });
    expect(await link.closed).toMatchObject({ code: Code.Canceled, failure: Failure.LEG_LOST });
  });

  test("may come a moment after the end of Receive, which alone is a cut", async () => {
    const routes = linkRoutes(newRelay(), { serveChannel: placed });
    for (const says of [true, false]) {
      const { send, cancel, ended } = await openLink(routes);
      await send(1n, [opening(1)]);
      cancel();
      await rejection(ended);
      routes.clock.advance(goodbyeTimeoutMs - 1);
      expect(routes.links.counts).toEqual({ links: 1, channels: 1 });
      if (says) await send(0n, [goodbye]);
      else routes.clock.advance(1);
      await settled();
      expect(routes.links.counts).toEqual({ links: 0, channels: 0 });
      expect(routes.clock.timers).toBe(0);
    }
  });
});

test("a batch that is sent again under its number is answered, and not taken twice", async () => {
  const { heard, send } = await openLink(linkRoutes());
  await send(1n, [opening(1)]);
  await send(1n, [opening(1)]);
  await send(2n);
  await send(1n, [opening(1)]);
  await settled();
  const resets = heard.filter(({ content }) => content.case === "reset");
  expect(heard.map(({ channel }) => channel)).toEqual([1, 1]);
  expect(resets).toEqual([]);
});

test("a gap in the batches is refused, and the next number is still the next", async () => {
  const { send } = await openLink(linkRoutes());
  expect(await rejection(send(2n))).toMatchObject({ failure: Failure.SEQUENCE_GAP, code: Code.OutOfRange });
  await send(1n);
  await send(2n);
});

test("batches are numbered from 1", async () => {
  const { send } = await openLink(linkRoutes());
  expect((await rejection(send(0n))).failure).toBe(Failure.PROTOCOL_VIOLATION);
});

test("a batch that is too large is refused, and not taken", async () => {
  const { send, opened } = await openLink(linkRoutes());
  const half = opened.maxBatchBytes / 2;
  expect(await rejection(send(1n, [data(half), data(half + 1)]))).toMatchObject({
    failure: Failure.FRAME_TOO_LARGE,
    code: Code.ResourceExhausted,
  });
  await send(1n, [data(half), data(half)]);
});

test("a batch of too many packets is refused, and not taken", async () => {
  const { send, opened, heard } = await openLink(linkRoutes());
  const most = opened.maxBatchBytes / 64;
  const ping = packet({ content: { case: "ping", value: {} } });
  expect((await rejection(send(1n, Array(most + 1).fill(ping)))).failure).toBe(Failure.FRAME_TOO_LARGE);
  await send(1n, Array(most).fill(ping));
  await settled();
  expect(heard).toHaveLength(most);
});

test("what a page gets at once is no more than a slow network brings it in time", async () => {
  const routes = linkRoutes();
  const abort = new AbortController();
  const responses = routes.client.receive({}, { signal: abort.signal })[Symbol.asyncIterator]();
  const opened = (await responses.next()).value?.opened;
  if (opened === undefined) throw new Error("the link was not opened");
  const packets = Array(4_000).fill(packet({ content: { case: "ping", value: {} } }));
  await routes.client.send({ linkId: opened.linkId, linkToken: opened.linkToken, sequence: 1n, packets });
  expect((await responses.next()).value?.packets).toHaveLength(163_840 / 64);
  abort.abort();
  await rejection(responses.next());
});

test("LinkRoutes: nobody sends on another's link, or with a forged token", async () => {
  const routes = linkRoutes();
  const [mine, other] = [await openLink(routes), await openLink(routes)];
  const { linkId } = mine.opened;
  const sendWith = (init: MessageInitShape<typeof SendRequestSchema>) =>
    rejection(routes.client.send({ linkId, sequence: 1n, packets: [], ...init }));
  expect((await sendWith({ linkToken: other.opened.linkToken })).failure).toBe(Failure.TOKEN_INVALID);
  expect((await sendWith({ linkToken: "" })).failure).toBe(Failure.TOKEN_INVALID);
});

test("a link that has ended takes nothing", async () => {
  const { send, cancel, ended } = await openLink(linkRoutes());
  cancel();
  await rejection(ended);
  await settled();
  expect(await rejection(send(1n))).toMatchObject({ failure: Failure.LINK_GONE, code: Code.NotFound });
});

test("what is wrong on one link leaves the others alone", async () => {
  const routes = linkRoutes();
  const [bad, good] = [await openLink(routes), await openLink(routes)];
  await rejection(bad.send(7n));
  await bad.send(1n, [data(1)]);
  await good.send(1n, [opening(1)]);
  await settled();
  expect(bad.heard.map(({ content }) => content.case)).toEqual(["reset"]);
  expect(good.heard.map(({ content }) => content.case)).toEqual(["response", "end"]);
});

test("a channel counts until it was served to the end, by whatever serves it", async () => {
  const { relay } = newRelay({ maxChannelsPerLink: 1 });
  const served = new Deferred<void>();
  const links = new Links({ ...relay, handlers: [], serveChannel: () => served.promise });
  const { link } = links.open(someCaller, "", 1_000_000);
  for (const channel of [1, 2, 3]) {
    link.receive(opening(channel));
    link.receive(packet({ channel, content: { case: "reset", value: { code: Code.Canceled } } }));
    await settled();
  }
  const said = (await link.nextBatch(1_000_000)) ?? [];
  expect(said.map(packetMessage)).toMatchObject([{ channel: 3, content: { case: "reset" } }]);
  served.resolve();
  await settled();
  link.receive(opening(4));
  expect(link.size).toBe(1);
  link.close(new StreamError("over"));
});

test("so many links are open at once; one that ends makes room", async () => {
  const routes = linkRoutes(newRelay({ maxLinks: 1 }));
  const first = await openLink(routes);
  expect((await rejection(openLink(routes))).failure).toBe(Failure.LIMIT_REACHED);
  first.cancel();
  await rejection(first.ended);
  await settled();
  await openLink(routes);
});

test("the relay pings at intervals, and gives up a link that stays silent for more than two and a half", async () => {
  const routes = linkRoutes();
  const { heard, ended, send } = await openLink(routes);
  const failed = rejection(ended);
  routes.clock.advance(15_000);
  await send(1n, [packet({ content: { case: "pong", value: {} } })]);
  routes.clock.advance(37_499);
  await settled();
  expect(heard.map(({ content }) => content.case)).toEqual(["ping", "ping", "ping"]);
  expect(routes.links.counts.links).toBe(1);
  routes.clock.advance(1);
  expect(await failed).toMatchObject({ failure: Failure.LEG_LOST, code: Code.Unavailable });
  expect(routes.links.counts.links).toBe(0);
  expect(routes.clock.timers).toBe(0);
});

test("links end with the relay, and say why", async () => {
  const routes = linkRoutes();
  const { ended } = await openLink(routes);
  routes.links.close(routes.relay.close());
  expect((await rejection(ended)).failure).toBe(Failure.DRAINING);
});

describe("Links.open", () => {
  test("lets all tabs of an address come back at once, and then so many in a second", async () => {
    const limits = { maxLinksPerCaller: 10, maxCallsPerSecondPerCaller: 2 };
    const { links, relay, clock } = linkRoutes(newRelay(limits));
    const refusals: unknown[] = [];
    relay.events.observe((event) => event.kind === "refused" && refusals.push(event));
    const open = (caller = someCaller) => links.open(caller, "", 1_000).link.close(pageLeftError());
    for (let tab = 0; tab < limits.maxLinksPerCaller; tab += 1) open();
    await settled();
    const refusal = thrown(open);
    const limit = { name: "maxCallsPerSecondPerCaller", value: 2, retryAfterMs: 500 };
    expect(refusal).toMatchObject({ failure: Failure.LIMIT_REACHED, limit });
    expect(refusals).toMatchObject([{ call: "link", error: { limit } }]);
    open({ ...someCaller, address: "192.0.2.2" });
    clock.advance(500);
    open();
    await settled();
    expect(thrown(open).failure).toBe(Failure.LIMIT_REACHED);
  });
});
