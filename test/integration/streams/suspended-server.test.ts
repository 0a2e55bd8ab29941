import { randomBytes } from "node:crypto";
import { Failure, type Stream, StreamClient, StreamServer } from "browser-stream-server";
import type { RelayLimits } from "browser-stream-server/server";
import { afterEach, describe, expect, test } from "vitest";
import { type NetworkCarrier, networkCarriers, openWay } from "../../chaos/carriers.js";
import { ChaosProxy } from "../../chaos/network/chaos-proxy.js";
import { ChaosRelay } from "../../chaos/relay/chaos-relay.js";
import { rejection } from "../../fakes/outcome.js";
import { holdsNothing, openRelay, type TestRelay } from "../relay-ports.js";
import { until } from "../until.js";

type Server = StreamServer;

const closers: (() => unknown)[] = [];

afterEach(async () => {
  for (const close of closers.splice(0).reverse()) await close();
});

/** A relay in this process, and a network before it that the test can break. */
async function openNetwork(limits: Partial<RelayLimits> = {}): Promise<{ relay: TestRelay; network: ChaosProxy }> {
  const relay = await openRelay({ limits, tokenKeys: [randomBytes(32)] });
  closers.push(() => relay.close());
  const network = await ChaosProxy.open(Number(new URL(relay.origin).port));
  closers.push(() => network.close());
  return { relay, network };
}

/** A server that echoes, and the events that it has told. */
async function listen(
  origin: string,
  carrier: NetworkCarrier,
  options = {},
): Promise<{ server: Server; told: string[] }> {
  const way = openWay(carrier, origin);
  const told: string[] = [];
  const server = StreamServer(way.transport, options, (stream) => {
    stream.on("data", (message) => stream.write(message)).on("end", () => stream.end());
    stream.on("error", () => {});
  });
  server.on("error", ({ failure }) => told.push(Failure[failure]));
  for (const event of ["suspended", "resumed"] as const) server.on(event, () => told.push(event));
  closers.push(async () => {
    await server.end();
    way.close();
  });
  await server.listen("name").ready;
  return { server, told };
}

/** Resolves with the answer of the echo, when the stream is closed on both sides. */
async function ask(origin: string, server: Server): Promise<string> {
  const stream: Stream = StreamClient(origin).connect("name");
  stream.end("hello");
  const answers: unknown[] = [];
  for await (const answer of stream) answers.push(answer);
  await stream.closed;
  await until(() => server.streams.size === 0);
  return answers.join();
}

/** The life of the names of a relay, as the application hears of it. */
function namesOf({ proxy }: TestRelay): string[] {
  const told: string[] = [];
  for (const event of ["created", "suspended", "resumed", "destroyed"] as const) {
    proxy.on(`server.${event}`, () => told.push(event));
  }
  return told;
}

describe.each(networkCarriers)("a server over %s", (carrier) => {
  test("keeps its name when its connection is cut, and gets the clients that came meanwhile", async () => {
    const { relay, network } = await openNetwork();
    const names = namesOf(relay);
    const { server, told } = await listen(network.origin, carrier);
    network.begin("away");
    await until(() => server.state === "suspended" && names.includes("suspended"));
    const answer = ask(relay.origin, server);
    await until(() => relay.proxy.counts.offers === 1);
    network.heal();
    expect(await answer).toBe("hello");
    expect(told).toEqual(["suspended", "resumed"]);
    await server.end();
    expect(names).toEqual(["created", "suspended", "resumed", "destroyed"]);
  });

  test("takes its name up before the relay has noticed that the connection broke", async () => {
    const { relay, network } = await openNetwork();
    const names = namesOf(relay);
    const { server, told } = await listen(network.origin, carrier);
    network.cut("ghost");
    await until(() => told.includes("resumed"));
    expect(await ask(relay.origin, server)).toBe("hello");
    await server.end();
    expect(names).toEqual(["created", "destroyed"]);
  });

  test("is ended while its connection is cut, and the name is free", async () => {
    const { relay, network } = await openNetwork();
    const { server, told } = await listen(network.origin, carrier);
    network.cut("rst");
    await until(() => server.state === "suspended");
    await server.end();
    expect([relay.proxy.counts.leases, ...told]).toEqual([0, "suspended"]);
    await holdsNothing(relay, "links");
  });

  test("fails when the network is away for longer than the grace period, and the relay frees the name", async () => {
    const { relay, network } = await openNetwork({ graceMs: 300 });
    const { server, told } = await listen(network.origin, carrier);
    network.begin("away");
    expect(await rejection(server.closed)).toMatchObject({ failure: Failure.LEG_LOST });
    await until(() => relay.proxy.counts.leases === 0);
    expect(told).toEqual(["suspended", "LEG_LOST"]);
  });

  test("gives its name up to another server with its owner key, and to no other", async () => {
    const { relay, network } = await openNetwork();
    const { server, told } = await listen(network.origin, carrier, { ownerKey: "secret" });
    expect(await rejection(listen(relay.origin, carrier, { ownerKey: "guess" }))).toMatchObject({
      failure: Failure.NAME_TAKEN,
    });
    const newer = await listen(relay.origin, carrier, { ownerKey: "secret" });
    expect(await rejection(server.closed)).toMatchObject({ failure: Failure.FENCED });
    expect(told).toEqual(["FENCED"]);
    expect(newer.server.state).toBe("listening");
  });

  test("keeps its name when the relay is killed and started again with its key", async () => {
    const { relay, network } = await openProcesses();
    const { server, told } = await listen(network.origin, carrier);
    await relay.suffer("kill", 0);
    await until(() => told.includes("resumed"));
    expect(await ask(network.origin, server)).toBe("hello");
    expect([server.state, ...told]).toEqual(["listening", "suspended", "resumed"]);
  });

  test("goes along from a relay that drains to the next one", async () => {
    const { relay, network } = await openProcesses();
    const { server, told } = await listen(network.origin, carrier);
    await relay.suffer("roll", 0);
    await until(async () => (await relay.counts()).leases === 1);
    expect(await ask(network.origin, server)).toBe("hello");
    // The relay waits for streams that leave it, and not for listeners, whose calls it may break.
    expect([server.state, ...told.filter((event) => event !== "suspended" && event !== "resumed")]).toEqual([
      "listening",
    ]);
  });
});

test("a server that was suspended goes on with its loop, its streams and its broadcasts", async () => {
  const { network, relay } = await openNetwork();
  const way = openWay("websocket", network.origin);
  const server = StreamServer(way.transport);
  closers.push(() => server.end());
  const clients = server.listen("name")[Symbol.asyncIterator]();
  await server.ready;
  const stream = StreamClient(relay.origin).connect("name");
  const messages = stream[Symbol.asyncIterator]();
  (await clients.next()).value?.write("before");
  expect((await messages.next()).value).toBe("before");
  network.begin("away");
  await until(() => server.state === "suspended");
  expect([...server.streams]).toHaveLength(1);
  expect(server.broadcast("meanwhile").sent).toBe(1);
  network.heal();
  expect((await messages.next()).value).toBe("meanwhile");
  await until(() => server.state === "listening");
  const later = StreamClient(relay.origin).connect("name");
  (await clients.next()).value?.end();
  await later.opened;
  expect(server.broadcast("after").sent).toBe(1);
  expect((await messages.next()).value).toBe("after");
  for (const each of [stream, later]) each.destroy();
  await until(() => server.streams.size === 0);
});

test("a server that was suspended does not take its name back from another one with its owner key", async () => {
  const { relay, network } = await openNetwork();
  const { server } = await listen(network.origin, "websocket", { ownerKey: "secret" });
  network.begin("away");
  await until(() => server.state === "suspended");
  const newer = await listen(relay.origin, "websocket", { ownerKey: "secret" });
  network.heal();
  expect(await rejection(server.closed)).toMatchObject({ failure: Failure.FENCED });
  expect(newer.server.state).toBe("listening");
});

/** A relay in processes of its own, and the network before it. */
async function openProcesses(): Promise<{ relay: ChaosRelay; network: ChaosProxy }> {
  const relay = await ChaosRelay.start({ limits: {}, drainTimeoutMs: 3_000 });
  closers.push(() => relay.close());
  const network = await ChaosProxy.open(relay.port);
  closers.push(() => network.close());
  relay.onMove = (port) => {
    network.targetPort = port;
  };
  return { relay, network };
}
