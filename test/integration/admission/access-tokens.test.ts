import { randomBytes } from "node:crypto";
import { createServer } from "node:http";
import type { AddressInfo } from "node:net";
import { createClient, type Interceptor } from "@connectrpc/connect";
import { createConnectTransport } from "@connectrpc/connect-node";
import { Code, Failure, Hop, type Stream, StreamClient, StreamServer } from "browser-stream-server";
import { RelayService } from "browser-stream-server/gen";
import {
  type Authorize,
  mintToken,
  type RelayWarning,
  type StreamRights,
  tokenPolicy,
} from "browser-stream-server/server";
import { afterAll, afterEach, beforeAll, describe, expect, onTestFinished, test } from "vitest";
import { expiryIntervalMs } from "../../../server/admission/policy/grants.js";
import { pemPair, accessSecret as secret } from "../../fakes/access-keys.js";
import { rejection } from "../../fakes/outcome.js";
import { RawListener, refusal, refused } from "../raw-calls.js";
import { holdsNothing, openRelay, type TestRelay } from "../relay-ports.js";
import { until } from "../until.js";
import { allWays, type Way } from "../ways.js";

const refusedWith = (code: Code) => ({ failure: Failure.NOT_PERMITTED, hop: Hop.RELAY, code });
const noGoodToken = refusedWith(Code.Unauthenticated);

let relay: TestRelay;
beforeAll(async () => {
  relay = await openRelay({ authorize: tokenPolicy({ secret }) });
});
afterEach(() => holdsNothing(relay, "links"));
afterAll(() => relay.close());

const token = (streams: StreamRights, facts: Partial<Parameters<typeof mintToken>[0]> = {}) =>
  mintToken({ secret, streams, ...facts });

function wayOf(open: (url: string) => Way) {
  const way = open(relay.url);
  onTestFinished(() => way.close());
  return way.transport;
}

/** A client of the directory that shows its token in a header. */
function directoryFor(given: string) {
  const withToken: Interceptor = (next) => (request) => {
    request.header.set("authorization", `Bearer ${given}`);
    return next(request);
  };
  return createClient(
    RelayService,
    createConnectTransport({ baseUrl: relay.url, httpVersion: "1.1", interceptors: [withToken] }),
  );
}

/** A server that hands its streams to the test. */
async function listen(
  name: string,
  server = StreamServer(relay.origin, { token: token({ "**": ["listen"] }) as never }),
) {
  const streams: Stream[] = [];
  server.on("stream", (stream) => streams.push(stream.on("error", () => {})));
  await server.listen(name).ready;
  return { server, streams };
}

describe.each(Object.entries(allWays))("over %s", (_, open) => {
  test("a server and a client with the right tokens meet, and the listener knows who came", async () => {
    const transport = wayOf(open);
    const [listening, connecting] = await Promise.all([
      token({ "user/{sub}": ["listen"] }, { subject: "ann" }),
      token({ "user/*": ["connect"] }, { subject: "bob", name: "Bob", meta: { team: "blue" } }),
    ]);
    const callers: Stream["caller"][] = [];
    const server = StreamServer(transport, { token: async () => listening }, (stream) => {
      callers.push(stream.caller);
      stream.end().resume();
    }).listen("user/ann");
    await server.ready;
    const stream = StreamClient(transport, { token: connecting }).connect("user/ann");
    stream.end().resume();
    await stream.closed;
    expect(callers).toMatchObject([{ subject: "bob", name: "Bob", meta: { team: "blue" } }]);
    await server.end();
  });

  test("a token that is not good, or for another name, lets nobody in", async () => {
    const transport = wayOf(open);
    const other = await token({ "room/1": ["listen", "connect"] });
    const forged = await mintToken({ secret: Buffer.alloc(32, "z"), streams: { "**": ["listen", "connect"] } });
    const cases = [
      [undefined, Code.Unauthenticated],
      [forged, Code.Unauthenticated],
      [other, Code.PermissionDenied],
    ] as const;
    for (const [given, code] of cases) {
      const refusals = await Promise.all([
        rejection(StreamServer(transport, { token: given }).listen("room/2").ready),
        rejection(StreamClient(transport, { token: given }).connect("room/2").opened),
      ]);
      expect(refusals).toMatchObject([refusedWith(code), refusedWith(code)]);
    }
  });
});

test("List and Watch take the token of the header, and show the names that it may list", async () => {
  const listening = await token({ "**": ["listen"] });
  const servers = ["room/1", "room/2", "hall"].map((name) =>
    StreamServer(relay.origin, { token: listening, listed: true }).listen(name),
  );
  await Promise.all(servers.map(({ ready }) => ready));
  const client = directoryFor(await token({ "room/*": ["list"] }));
  expect((await client.list({})).names).toEqual(["room/1", "room/2"]);
  // A page of the list is full of names that may be shown.
  expect(await client.list({ pageSize: 1 })).toMatchObject({ names: ["room/1"], nextPageToken: "room/1" });
  const watched: string[] = [];
  for await (const { event } of client.watch({})) {
    if (event.case === "current") break;
    if (event.case === "created") watched.push(event.value.name);
  }
  expect(watched.sort()).toEqual(["room/1", "room/2"]);
  const stranger = directoryFor(await token({ "room/*": ["connect"] }));
  expect(await rejection(stranger.list({}))).toMatchObject(refusedWith(Code.PermissionDenied));
  await Promise.all(servers.map((server) => server.end()));
});

describe("StreamServerProxy.revoke", () => {
  test("ends the names and streams of a token within a second, and lets it neither in nor back", async () => {
    const [anns, bobs] = await Promise.all([
      token({ "**": ["listen", "connect", "list"] }, { subject: "ann" }),
      token({ "**": ["connect", "listen"] }, { subject: "bob" }),
    ]);
    const anna = await listen("of ann", StreamServer(relay.origin, { token: anns }));
    const bob = await listen("of bob", StreamServer(relay.origin, { token: bobs }));
    const client = (name: string, by: string) => {
      const stream = StreamClient(relay.origin, { token: by }).connect(name);
      stream.on("error", () => {});
      return stream;
    };
    const streams = [client("of bob", anns), client("of ann", bobs), client("of bob", bobs)] as const;
    await Promise.all(streams.map(({ opened }) => opened));
    const watch = directoryFor(anns).watch({})[Symbol.asyncIterator]();
    await watch.next();
    const annasEnd = rejection(anna.server.closed);
    const begin = performance.now();
    expect(relay.proxy.revoke({ sub: "ann" })).toBe(4);
    expect(await rejection(watch.next())).toMatchObject(noGoodToken);
    expect(await rejection(directoryFor(anns).list({}))).toMatchObject(noGoodToken);
    // The holder is told why, and the other side that its peer is gone.
    expect(await rejection(streams[0].closed)).toMatchObject(noGoodToken);
    expect(await rejection(streams[1].closed)).toMatchObject({ failure: Failure.LEG_LOST, hop: Hop.PEER });
    expect(await annasEnd).toMatchObject(noGoodToken);
    expect(performance.now() - begin).toBeLessThan(1_000);
    expect(await rejection(client("of bob", anns).opened)).toMatchObject(noGoodToken);
    expect(await rejection(StreamServer(relay.origin, { token: anns }).listen("of ann").ready)).toMatchObject(
      noGoodToken,
    );
    expect([streams[2].state, bob.server.state]).toEqual(["open", "listening"]);
    for (const stream of streams) stream.destroy();
    await bob.server.end();
  });
});

describe("a grant that expires", () => {
  /** A relay that grants everything for a while, from each request on. The token says whether it cuts. */
  async function openShortRelay(grantMs: number) {
    const authorize: Authorize = ({ token }) => ({
      subject: token.split(" ")[0],
      expiresAtMs: Date.now() + grantMs,
      cut: token.endsWith("cut"),
    });
    const short = await openRelay({ authorize });
    onTestFinished(() => short.close());
    return short;
  }

  test("ends what it has opened within 5 s if it cuts, for both sides, and otherwise nothing", async () => {
    const grantMs = 300;
    const { origin } = await openShortRelay(grantMs);
    const onStream = (stream: Stream) => void stream.on("error", () => {});
    const [cut, goesOn] = ["cut", "stays"].map((token) =>
      StreamServer(origin, { token }, onStream).listen(`by ${token}`),
    );
    const cutEnd = rejection(cut?.closed as Promise<void>);
    await Promise.all([cut?.ready, goesOn?.ready]);
    const begin = performance.now();
    const ends = ["cut", "stays"].map((token) => {
      const stream = StreamClient(origin, { token }).connect("by stays");
      return { stream: stream.on("error", () => {}), closed: rejection(stream.closed) };
    });
    expect(await Promise.all([ends[0]?.closed, cutEnd])).toMatchObject([noGoodToken, noGoodToken]);
    expect(performance.now() - begin).toBeLessThan(grantMs + 5_000);
    expect([ends[1]?.stream.state, goesOn?.state]).toEqual(["open", "listening"]);
    ends[1]?.stream.destroy();
    await goesOn?.end();
  });

  test("ends nothing where a function gives a newer token in time: no stream, no name, nor what it has taken", async () => {
    const grantMs = 3_000;
    const { origin } = await openShortRelay(grantMs);
    const asked = { client: 0, server: 0 };
    const tokenOf = (who: keyof typeof asked) => () => {
      asked[who] += 1;
      return `${who} cut`;
    };
    const { server, streams } = await listen("room", StreamServer(origin, { token: tokenOf("server") }));
    const stream = StreamClient(origin, { token: tokenOf("client") }).connect("room");
    await stream.opened;
    const endsAtMs = performance.now() + grantMs + expiryIntervalMs;
    await until(
      () => performance.now() > endsAtMs || stream.state !== "open",
      () => `asked ${JSON.stringify(asked)}`,
    );
    expect([stream.state, server.state, streams[0]?.state]).toEqual(["open", "listening", "open"]);
    expect([asked.client, asked.server].map((times) => times >= 2)).toEqual([true, true]);
    stream.destroy();
    await server.end();
  });
});

test("a key set that cannot be fetched is told to the operator as a warning, and refuses with `unavailable`", async () => {
  const server = createServer((_, response) => response.writeHead(500, { connection: "close" }).end());
  await new Promise<void>((resolve) => server.listen(0, "127.0.0.1", resolve));
  onTestFinished(() => void server.close());
  const policy = tokenPolicy({ jwks: `http://127.0.0.1:${(server.address() as AddressInfo).port}/keys?of=us` });
  const guarded = await openRelay({ authorize: policy, admin: policy });
  onTestFinished(() => guarded.close());
  const warnings: RelayWarning[] = [];
  guarded.proxy.on("warning", (warning) => warnings.push(warning));
  const { privateKey } = pemPair("ed25519");
  const given = await mintToken({ privateKey, streams: { "**": ["connect"] } });
  const stream = StreamClient(guarded.origin, { token: given }).connect("room");
  expect(await rejection(stream.opened)).toMatchObject(refusedWith(Code.Unavailable));
  expect(warnings).toMatchObject([{ kind: "key-set-troubled", count: 1 }]);
});

test("a name that was given back comes back after a restart of the relay only with a token that is good", async () => {
  const tokenKeys = [randomBytes(32)];
  const hourAgo = () => Date.now() - 3_600_000;
  const relays = await Promise.all([
    openRelay({ tokenKeys, authorize: tokenPolicy({ secret, now: hourAgo }) }),
    openRelay({ tokenKeys, authorize: tokenPolicy({ secret }) }),
  ]);
  onTestFinished(async () => void (await Promise.all(relays.map((each) => each.close()))));
  const [before, after] = relays.map(({ url }) =>
    createClient(RelayService, createConnectTransport({ baseUrl: url, httpVersion: "2" })),
  );
  if (before === undefined || after === undefined) throw new Error("there are two relays");
  const room: StreamRights = { room: ["listen"] };
  const accessToken = await token(room, { ttlMs: 60_000, now: hourAgo });
  const { leaseId, leaseToken } = await new RawListener(before, { name: "room", accessToken }).event("registered");
  await before.unlisten({ leaseId, leaseToken });
  const again = { name: "room", leaseId, leaseToken, generation: 1 };
  const unauthenticated = refusal(Code.Unauthenticated, Failure.NOT_PERMITTED);
  expect(await refused(after.listen(again))).toEqual(unauthenticated);
  expect(await refused(after.listen({ ...again, accessToken }))).toEqual(unauthenticated);
  const listener = new RawListener(after, { ...again, accessToken: await token(room) });
  expect((await listener.event("registered")).leaseId).toBe(leaseId);
  await listener.close();
});
