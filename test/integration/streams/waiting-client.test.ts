import { randomBytes } from "node:crypto";
import { createClient } from "@connectrpc/connect";
import * as node from "@connectrpc/connect-node";
import { Code, Failure, type Stream, StreamClient, StreamServer, type TransportLike } from "browser-stream-server";
import { Feature, RelayService } from "browser-stream-server/gen";
import { afterAll, afterEach, beforeAll, describe, expect, test } from "vitest";
import { rejection } from "../../fakes/outcome.js";
import { open as openMessage, proof, RawLeg, RawListener, refusal, refused } from "../raw-calls.js";
import { holdsNothing, openRelay, type TestRelay } from "../relay-ports.js";
import { until } from "../until.js";
import { allWays } from "../ways.js";

let relay: TestRelay;

beforeAll(async () => {
  relay = await openRelay();
});

afterEach(() => holdsNothing(relay, "links"));
afterAll(() => relay.close());

type Connect = (name: string, options: { waitForListenerMs: number }) => Stream;

interface OpenWay {
  connect: Connect;
  close(): void;
}

const json = (url: string) => node.createConnectTransport({ baseUrl: url, httpVersion: "2", useBinaryFormat: false });

const ways: [way: string, open: () => OpenWay][] = [
  ...Object.entries(allWays).map(([name, open]): [string, () => OpenWay] => [
    name,
    () => {
      const { transport, close } = open(relay.url);
      return { connect: connectOver(transport), close };
    },
  ]),
  ["JSON over HTTP/2", () => ({ connect: connectOver(json(relay.url)), close: () => {} })],
  ["the relay's own process", () => ({ connect: (...all) => relay.proxy.connect(...all), close: () => {} })],
];

function connectOver(transport: TransportLike): Connect {
  return (name, options) => StreamClient(transport).connect(name, options);
}

describe.each(ways)("a client that waits for a listener over %s", (_way, open) => {
  test("gets its stream when one comes", async () => {
    const { connect, close } = open();
    const stream = connect("late", { waitForListenerMs: 60_000 });
    stream.end("early").resume();
    await until(() => relay.proxy.counts.offers === 1);
    const heard: unknown[] = [];
    const server = StreamServer(relay.origin, async (peer) => {
      for await (const message of peer) heard.push(message);
      peer.end();
    }).listen("late");
    await stream.closed;
    expect(heard).toEqual(["early"]);
    await server.end();
    close();
  });

  test("hears that nobody listens when its time is over", async () => {
    const { connect, close } = open();
    const stream = connect("nobody", { waitForListenerMs: 1 });
    expect(await rejection(stream.closed)).toMatchObject({ failure: Failure.NO_SUCH_NAME });
    close();
  });

  test("leaves nothing behind when it gives up", async () => {
    const { connect, close } = open();
    const stream = connect("nobody", { waitForListenerMs: 60_000 });
    await until(() => relay.proxy.counts.offers === 1);
    stream.destroy();
    await rejection(stream.closed);
    await until(() => relay.proxy.counts.offers === 0);
    close();
  });
});

describe("a client that can resume", () => {
  const waiting = {
    name: "later",
    waitForListenerMs: 60_000,
    capabilities: { features: [Feature.CREDIT, Feature.ACK, Feature.RESUME] },
  };

  function rawClient(url: string) {
    const sessionManager = new node.Http2SessionManager(url);
    const transport = node.createConnectTransport({ baseUrl: url, httpVersion: "2", sessionManager });
    return { client: createClient(RelayService, transport), breakOff: () => sessionManager.abort() };
  }

  /** Waits at one relay, breaks off, attaches again at another or the same one, and is accepted there. */
  async function waitAndResume(before: TestRelay, between: () => Promise<TestRelay>): Promise<void> {
    const first = rawClient(before.url);
    const opened = await new RawLeg(first.client, "connect", openMessage(waiting)).receive("opened");
    first.breakOff();
    await until(() => before.proxy.counts.legs === 0);
    const after = await between();
    const second = rawClient(after.url);
    const { streamId, legToken } = opened;
    const resumed = { ...waiting, streamId, legToken, resume: { generation: 1 } };
    const leg = new RawLeg(second.client, "connect", openMessage(resumed));
    expect((await leg.receive("opened")).streamId).toBe(streamId);
    expect(after.proxy.counts.offers).toBe(1);
    const listener = new RawListener(second.client, waiting.name);
    expect((await listener.event("registered")).waitingStreamIds).toEqual([streamId]);
    const offer = await listener.event("offer");
    const { capabilities } = waiting;
    const accepted = new RawLeg(second.client, "accept", openMessage({ ...proof(offer), capabilities }));
    await accepted.receive("opened");
    await leg.receive("accepted");
    await second.client.reject({ streamId, legToken: offer.legToken, code: Code.Aborted });
    await listener.close();
    second.breakOff();
    await holdsNothing(after);
  }

  test("keeps its place in the queue while it has no leg", () => waitAndResume(relay, async () => relay));

  test("waits again under the same stream id at a relay that was restarted", async () => {
    const tokenKeys = [randomBytes(32)];
    const [before, after] = [await openRelay({ tokenKeys }), await openRelay({ tokenKeys })];
    await waitAndResume(before, async () => {
      await before.close();
      return after;
    });
    await after.close();
  });

  test("hears that its time is over when it comes back later", async () => {
    const first = rawClient(relay.url);
    const short = { ...waiting, waitForListenerMs: 100 };
    const { streamId, legToken } = await new RawLeg(first.client, "connect", openMessage(short)).receive("opened");
    first.breakOff();
    await until(() => relay.proxy.counts.offers === 0);
    const second = rawClient(relay.url);
    const resumed = { ...short, streamId, legToken, resume: { generation: 1 } };
    expect(await refused(new RawLeg(second.client, "connect", openMessage(resumed)).rest())).toEqual(
      refusal(Code.NotFound, Failure.NO_SUCH_NAME),
    );
    second.breakOff();
  });
});
