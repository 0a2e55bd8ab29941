import { createClient, type Interceptor } from "@connectrpc/connect";
import { createConnectTransport } from "@connectrpc/connect-node";
import { Code, Failure, Hop, type Stream, StreamClient, StreamServer } from "browser-stream-server";
import { RelayService } from "browser-stream-server/gen";
import { mintToken, type StreamRights, tokenPolicy } from "browser-stream-server/server";
import { afterAll, afterEach, beforeAll, describe, expect, onTestFinished, test } from "vitest";
import { accessSecret as secret } from "../fakes/access-keys.js";
import { rejection } from "../fakes/outcome.js";
import { holdsNothing, openRelay, type TestRelay } from "./relay-ports.js";
import { allWays, type Way } from "./ways.js";

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
  const clientWith = async (given: string) => {
    const withToken: Interceptor = (next) => (request) => {
      request.header.set("authorization", `Bearer ${given}`);
      return next(request);
    };
    return createClient(
      RelayService,
      createConnectTransport({ baseUrl: relay.url, httpVersion: "1.1", interceptors: [withToken] }),
    );
  };
  const client = await clientWith(await token({ "room/*": ["list"] }));
  expect((await client.list({})).names).toEqual(["room/1", "room/2"]);
  // A page of the list is full of names that may be shown.
  expect(await client.list({ pageSize: 1 })).toMatchObject({ names: ["room/1"], nextPageToken: "room/1" });
  const watched: string[] = [];
  for await (const { event } of client.watch({})) {
    if (event.case === "current") break;
    if (event.case === "created") watched.push(event.value.name);
  }
  expect(watched.sort()).toEqual(["room/1", "room/2"]);
  const stranger = await clientWith(await token({ "room/*": ["connect"] }));
  expect(await rejection(stranger.list({}))).toMatchObject(refusedWith(Code.PermissionDenied));
  await Promise.all(servers.map((server) => server.end()));
});

describe("StreamServerProxy.revoke", () => {
  test("ends the names and streams of a token within a second, and lets it neither in nor back", async () => {
    const [anns, bobs] = await Promise.all([
      token({ "**": ["listen", "connect"] }, { subject: "ann" }),
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
    const begin = performance.now();
    expect(relay.proxy.revoke({ sub: "ann" })).toBe(3);
    // The holder is told why, and the other side that its peer is gone.
    expect(await rejection(streams[0].closed)).toMatchObject(noGoodToken);
    expect(await rejection(streams[1].closed)).toMatchObject({ failure: Failure.LEG_LOST, hop: Hop.PEER });
    expect(await rejection(anna.server.closed)).toMatchObject(noGoodToken);
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

describe("a token that expires", () => {
  const ttlMs = 1_000;

  test("ends what it has opened if it cuts, and otherwise only lets nothing new in", async () => {
    const [cutting, lasting] = await Promise.all([
      token({ "**": ["listen", "connect"] }, { ttlMs, cut: true }),
      token({ "**": ["connect"] }, { ttlMs }),
    ]);
    const { server } = await listen("room", StreamServer(relay.origin, { token: await token({ room: ["listen"] }) }));
    const connect = (given: string) => {
      const stream = StreamClient(relay.origin, { token: given }).connect("room");
      stream.on("error", () => {});
      return stream;
    };
    const [cut, goesOn] = [connect(cutting), connect(lasting)];
    await Promise.all([cut.opened, goesOn.opened]);
    const name = await listen("name", StreamServer(relay.origin, { token: cutting }));
    const begin = performance.now();
    expect(await Promise.all([rejection(cut.closed), rejection(name.server.closed)])).toMatchObject([
      noGoodToken,
      noGoodToken,
    ]);
    expect(performance.now() - begin).toBeLessThan(ttlMs + 5_000);
    expect(goesOn.state).toBe("open");
    expect(await rejection(connect(lasting).opened)).toMatchObject(noGoodToken);
    goesOn.destroy();
    await server.end();
  });
});
