import * as node from "@connectrpc/connect-node";
import { Failure, type Stream, StreamClient, StreamServer, type TransportLike } from "browser-stream-server";
import { afterAll, afterEach, beforeAll, describe, expect, test } from "vitest";
import { rejection } from "../fakes/outcome.js";
import { holdsNothing, openRelay, type TestRelay } from "./relay-ports.js";
import { until } from "./until.js";
import { allWays } from "./ways.js";

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
