import { randomBytes } from "node:crypto";
import { type Client, createClient, type Transport } from "@connectrpc/connect";
import * as node from "@connectrpc/connect-node";
import { Code, Failure } from "browser-stream-server";
import { Feature, type Registered, RelayService } from "browser-stream-server/gen";
import { afterAll, afterEach, beforeAll, beforeEach, describe, expect, test } from "vitest";
import { WebSocket } from "ws";
import { linkProtocol } from "../../../link/packet/link-message.js";
import type { LinkSocketLike } from "../../../web/link/websocket-link.js";
import { openWebSocketTransport } from "../../../web/transport/websocket-transport.js";
import { open, openOffer, proof, RawLeg, RawListener, refusal, refused } from "../raw-calls.js";
import { holdsNothing, openRelay, type TestRelay } from "../relay-ports.js";
import { until } from "../until.js";

type RelayClient = Client<typeof RelayService>;

/** A way for raw calls, whose connection a test can break. */
interface Breakable {
  client: RelayClient;
  breakOff(): void;
}

type ListenInit = ConstructorParameters<typeof RawListener>[1];

const canResume = { capabilities: { features: [Feature.RESUME] } };
const limits = { acceptTimeoutMs: 30_000 };
let relay: TestRelay;
/** The changes of names, as the relay's events tell them, and those that have a "-" in their names. */
let told: string[];
let toldDashed: string[];

beforeAll(async () => {
  relay = await openRelay({ limits });
  const tell = (change: string) => told.push(change);
  relay.proxy
    .on("server.created", (name) => tell(`created ${name}`))
    .on("server.suspended", (name, _lease, graceMs) => tell(`suspended ${name} ${graceMs}`))
    .on("server.resumed", (name) => tell(`resumed ${name}`))
    .on("server.destroyed", (name, _lease, end) => tell(`destroyed ${name}: ${end}`))
    .on("server-suspended", (name, _lease, graceMs) => toldDashed.push(`suspended ${name} ${graceMs}`))
    .on("server-resumed", (name) => toldDashed.push(`resumed ${name}`));
});

beforeEach(() => {
  told = [];
  toldDashed = [];
});

afterEach(() => holdsNothing(relay, "links"));
afterAll(() => relay.close());

function toldOf(change: string): Promise<void> {
  return until(
    () => told.includes(change),
    () => `${change} after ${told}`,
  );
}

function overHttp2(
  create: (options: { baseUrl: string; httpVersion: "2"; sessionManager: node.Http2SessionManager }) => Transport,
) {
  return (url: string): Breakable => {
    const sessionManager = new node.Http2SessionManager(url);
    const transport = create({ baseUrl: url, httpVersion: "2", sessionManager });
    return { client: createClient(RelayService, transport), breakOff: () => sessionManager.abort() };
  };
}

function overWebSocket(end: (socket: WebSocket) => void) {
  return (url: string): Breakable => {
    let socket: WebSocket | undefined;
    const transport = openWebSocketTransport({ baseUrl: url }, () => (socketUrl) => {
      socket = new WebSocket(socketUrl, linkProtocol);
      return socket as unknown as LinkSocketLike;
    });
    return { client: createClient(RelayService, transport), breakOff: () => socket && end(socket) };
  };
}

const breaks: [string, (url: string) => Breakable][] = [
  ["an HTTP/2 connection of Connect", overHttp2(node.createConnectTransport)],
  ["an HTTP/2 connection of gRPC", overHttp2(node.createGrpcTransport)],
  ["a WebSocket's connection", overWebSocket((socket) => socket.terminate())],
  ["a WebSocket that a browser closed by itself", overWebSocket((socket) => socket.close(1001))],
];

async function listening(client: RelayClient, request: ListenInit) {
  const listener = new RawListener(client, request);
  return { listener, registered: await listener.event("registered") };
}

/** The id of a lease and its token. */
function leaseOf({ leaseId, leaseToken }: Registered) {
  return { leaseId, leaseToken };
}

/** A request that takes a lease up. */
function takingUp(registered: Registered, generation: number) {
  return { ...canResume, ...leaseOf(registered), generation };
}

describe("Listen with FEATURE_RESUME", () => {
  test.each(breaks)("outlives %s: offers come and wait, and a newer call takes the lease up", async (_what, way) => {
    const { client, breakOff } = way(relay.url);
    const other = overHttp2(node.createConnectTransport)(relay.url);
    const { registered } = await listening(client, { name: "room", ...canResume });
    breakOff();
    await toldOf(`suspended room ${relay.proxy.limits.graceMs}`);
    expect(await refused(other.client.listen({ name: "room" }))).toEqual(
      refusal(Code.AlreadyExists, Failure.NAME_TAKEN),
    );
    const leg = new RawLeg(other.client, "connect", open({ name: "room" }));
    const { streamId } = await leg.receive("opened");
    const again = await listening(other.client, { name: "room", ...takingUp(registered, 1) });
    expect(again.registered).toMatchObject({ leaseId: registered.leaseId, waitingStreamIds: [streamId] });
    const offer = await again.listener.event("offer");
    const accepted = new RawLeg(other.client, "accept", openOffer(offer));
    await accepted.receive("opened");
    await leg.receive("accepted");
    leg.cancel();
    await other.client.unlisten(leaseOf(again.registered));
    await toldOf("destroyed room: unlisten");
    expect(told).toEqual([
      "created room",
      `suspended room ${relay.proxy.limits.graceMs}`,
      "resumed room",
      "destroyed room: unlisten",
    ]);
    expect(toldDashed).toEqual(told.slice(1, 3));
    accepted.cancel();
    other.breakOff();
  });

  test("is suspended by a cancelled call, and given up by Unlisten from anywhere", async () => {
    const { client, breakOff } = overHttp2(node.createConnectTransport)(relay.url);
    const { listener, registered } = await listening(client, { name: "room", ...canResume });
    await listener.close();
    await toldOf(`suspended room ${relay.proxy.limits.graceMs}`);
    await client.unlisten(leaseOf(registered));
    await toldOf("destroyed room: unlisten");
    expect(await refused(client.unlisten(leaseOf(registered)))).toEqual(refusal(Code.NotFound, Failure.LEASE_GONE));
    expect(await refused(client.listen({ name: "room", ...takingUp(registered, 1) }))).toEqual(
      refusal(Code.NotFound, Failure.LEASE_GONE),
    );
    breakOff();
  });

  test.each<[string, boolean, (url: string) => Breakable, string]>([
    ["its link says goodbye", true, overWebSocket((socket) => socket.close(1000)), "canceled"],
    ["it breaks and its listener cannot resume", false, overWebSocket((socket) => socket.terminate()), "lost"],
  ])("ends at once when %s", async (_when, resumes, way, end) => {
    const { client, breakOff } = way(relay.url);
    await listening(client, { name: "room", ...(resumes ? canResume : {}) });
    breakOff();
    await toldOf(`destroyed room: ${end}`);
    expect(told).toEqual(["created room", `destroyed room: ${end}`]);
  });

  test("fences the older call, whose connection is still there", async () => {
    const { client, breakOff } = overHttp2(node.createConnectTransport)(relay.url);
    const older = await listening(client, { name: "room", ...canResume });
    const newer = await listening(client, { name: "room", ...takingUp(older.registered, 1) });
    expect(await refused(older.listener.rest())).toEqual(refusal(Code.Aborted, Failure.FENCED));
    expect(await refused(client.listen({ name: "room", ...takingUp(newer.registered, 1) }))).toEqual(
      refusal(Code.Aborted, Failure.FENCED),
    );
    await client.unlisten(leaseOf(newer.registered));
    breakOff();
  });

  test("leaves the name to its owner at once, with the offers that wait", async () => {
    const { client, breakOff } = overHttp2(node.createConnectTransport)(relay.url);
    const ownerKey = randomBytes(16).toString("base64url");
    const before = await listening(client, { name: "room", ...canResume, ownerKey });
    const leg = new RawLeg(client, "connect", open({ name: "room" }));
    const { streamId } = await leg.receive("opened");
    const after = await listening(client, { name: "room", ...canResume, ownerKey });
    expect(await refused(before.listener.rest())).toEqual(refusal(Code.Aborted, Failure.FENCED));
    expect(after.registered.waitingStreamIds).toEqual([streamId]);
    const offer = await after.listener.event("offer");
    await client.reject({ ...proof(offer), code: Code.Aborted });
    await refused(leg.rest());
    await client.unlisten(leaseOf(after.registered));
    await toldOf("destroyed room: unlisten");
    expect(told).toEqual(["created room", "destroyed room: reclaimed", "created room", "destroyed room: unlisten"]);
    breakOff();
  });

  test("is taken up at another relay with the same key, while this one drains", async () => {
    const tokenKeys = [randomBytes(32)];
    const [here, there] = [await openRelay({ tokenKeys, limits }), await openRelay({ tokenKeys, limits })];
    const ends: string[] = [];
    here.proxy.on("server-destroyed", (_name, _lease, end) => ends.push(end));
    const [old, next] = [here, there].map(({ url }) => overHttp2(node.createConnectTransport)(url));
    if (old === undefined || next === undefined) throw new Error("no way");
    const { listener, registered } = await listening(old.client, { name: "room", ...canResume });
    const leg = new RawLeg(old.client, "connect", open({ name: "room" }));
    await leg.receive("opened");
    const drained = here.proxy.drain({ timeoutMs: 20_000 });
    expect((await listener.event("draining")).graceMs).toBe(20_000);
    expect(await refused(old.client.listen({ name: "room", ...takingUp(registered, 1) }))).toEqual(
      refusal(Code.Unavailable, Failure.DRAINING),
    );
    const moved = await listening(next.client, { name: "room", ...takingUp(registered, 1) });
    expect(moved.registered.leaseId).toBe(registered.leaseId);
    await listener.close();
    await until(() => ends.length > 0);
    leg.cancel();
    await drained;
    expect(ends).toEqual(["moved"]);
    await next.client.unlisten(leaseOf(moved.registered));
    for (const { breakOff } of [old, next]) breakOff();
    for (const { close } of [here, there]) await close();
  });
});
