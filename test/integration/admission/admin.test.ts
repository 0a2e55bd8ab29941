import { create } from "@bufbuild/protobuf";
import { type Client, Code, createClient, type Interceptor } from "@connectrpc/connect";
import { createConnectTransport, createGrpcTransport } from "@connectrpc/connect-node";
import { createConnectTransport as createWebTransport } from "@connectrpc/connect-web";
import { Failure, Hop, type Stream, StreamClient, StreamServer } from "browser-stream-server";
import {
  AdminService,
  LegState,
  RevokeRequestSchema,
  type ShowResponse,
  Side,
  StreamState,
  Wait,
} from "browser-stream-server/gen";
import { logRelay, mintToken, tokenPolicy } from "browser-stream-server/server";
import { afterEach, beforeEach, describe, expect, test } from "vitest";
import { fromConnectError } from "../../../stream/error/failure-detail.js";
import { openWay } from "../../chaos/carriers.js";
import { ChaosProxy } from "../../chaos/network/chaos-proxy.js";
import { rejection } from "../../fakes/outcome.js";
import { holdsNothing, openRelay, type TestRelay } from "../relay-ports.js";
import { until } from "../until.js";

const secret = "c2VjcmV0LXNlY3JldC1zZWNyZXQtc2VjcmV0LXNlY3JldA";
const policy = tokenPolicy({ secret, anonymous: { "**": ["listen", "connect"] } });
const closers: (() => unknown)[] = [];

let relay: TestRelay;
let operator: Client<typeof AdminService>;

beforeEach(async () => {
  // The tests ask as often as they can.
  relay = await openRelay({
    authorize: policy,
    admin: policy,
    limits: { graceMs: 60_000, maxCallsPerSecondPerCaller: 10_000 },
  });
  closers.push(() => relay.close());
  operator = adminOf(await mintToken({ secret, subject: "olga", streams: {}, admin: true }));
});
afterEach(async () => {
  // A client whose reset does not get through tries again.
  await holdsNothing(relay, "links");
  for (const close of closers.splice(0).reverse()) await close();
});

function withToken(token: string): Interceptor {
  return (next) => (request) => {
    if (token !== "") request.header.set("authorization", `Bearer ${token}`);
    return next(request);
  };
}

function adminOf(token: string, { url }: Pick<TestRelay, "url"> = relay): Client<typeof AdminService> {
  const options = { baseUrl: url, interceptors: [withToken(token)] };
  return createClient(AdminService, createConnectTransport({ ...options, httpVersion: "2" }));
}

async function failureOf(call: Promise<unknown>) {
  return fromConnectError(await rejection(call));
}

/** Resolves with what the operator sees once it is as expected. */
async function shown(isExpected: (report: ShowResponse) => boolean): Promise<ShowResponse> {
  let report = await operator.show({});
  await until(
    async () => {
      report = await operator.show({});
      return isExpected(report);
    },
    () => JSON.stringify(report, (_, value) => (typeof value === "bigint" ? Number(value) : value)),
  );
  return report;
}

async function listen(name: string, onStream: (stream: Stream) => unknown, origin = relay.origin, token?: string) {
  const server = StreamServer(openWay("websocket", origin).transport, { token }, onStream)
    .on("error", () => {})
    .listen(name);
  await server.ready;
  return server;
}

function connect(name: string, options = {}, origin = relay.origin): Stream {
  const stream = StreamClient(openWay("websocket", origin).transport).connect(name, options);
  return stream.on("error", () => {});
}

describe("AdminService", () => {
  test("is not there without a policy for operators", async () => {
    const other = await openRelay({ authorize: policy });
    closers.push(() => other.close());
    const kinds: string[] = [];
    other.proxy.on("warning", ({ kind }) => kinds.push(kind));
    const token = await mintToken({ secret, streams: {}, admin: true });
    expect(await failureOf(adminOf(token, other).show({}))).toMatchObject({ code: Code.Unimplemented });
    expect(kinds).toEqual(["path-unknown"]);
    expect((await fetch(`${other.url}/admin`)).status).toBe(404);
  });

  test("has a page beside it that no other page has in a frame, and in which nothing but its own scripts runs", async () => {
    const page = await fetch(`${relay.url}/admin`);
    expect([page.status, page.headers.get("content-type")]).toEqual([200, "text/html; charset=utf-8"]);
    const policy = page.headers.get("content-security-policy");
    expect(policy).toMatch(/^default-src 'none'; script-src 'self'; .*frame-ancestors 'none'/);
    const statuses = ["operator-page.js", "report.js", "../client.js"].map(async (name) => {
      return (await fetch(`${relay.url}/admin/${name}`)).status;
    });
    expect(await Promise.all(statuses)).toEqual([200, 404, 200]);
    expect((await fetch(`${relay.url}/admin`, { method: "POST" })).status).toBe(405);
  });

  test("refuses whoever has no token of an operator, over each protocol, and counts the refusals", async () => {
    const all = await mintToken({ secret, streams: { "**": ["listen", "connect", "list"] } });
    const refusal = { failure: Failure.NOT_PERMITTED, hop: Hop.RELAY };
    for (const [token, code] of [
      ["", Code.PermissionDenied],
      ["x.y.z", Code.Unauthenticated],
      [all, Code.PermissionDenied],
    ] as const) {
      const options = { baseUrl: relay.url, interceptors: [withToken(token)] };
      for (const transport of [
        createConnectTransport({ ...options, httpVersion: "2" }),
        createGrpcTransport(options),
        createWebTransport(options),
      ]) {
        const admin = createClient(AdminService, transport);
        const revoke = create(RevokeRequestSchema, { sub: "ann" });
        for (const call of [admin.show({}), admin.endStream({}), admin.endLease({}), admin.revoke(revoke)]) {
          expect(await failureOf(call)).toMatchObject({ ...refusal, code });
        }
      }
    }
    const { refusals, totals } = await operator.show({});
    expect(refusals).toMatchObject([
      { call: "admin", reason: "NOT_PERMITTED", count: 36n, lastCaller: { door: "http", address: "127.0.0.1" } },
    ]);
    expect(totals?.refusals).toBe(36n);
  });

  test("shows names, streams with both legs, and who waits for whom", async () => {
    const streams: Stream[] = [];
    const server = await listen("room", (stream) => streams.push(stream.resume().on("error", () => {})));
    const [talking, waiting] = [connect("room"), connect("nobody-yet", { waitForListenerMs: 60_000 })];
    talking.write("hello");
    await talking.opened;
    const {
      totals,
      names,
      streams: reports,
    } = await shown(
      ({ streams }) => streams.length === 2 && streams.some(({ client }) => client?.bytesPerSecond !== 0n),
    );
    const caller = { door: "link", address: "127.0.0.1" };
    expect(totals).toMatchObject({ names: 1, offers: 1, streams: 1, legs: 3, ready: true });
    expect(totals?.clientBytesPerSecond).toBeGreaterThan(0n);
    expect(names).toMatchObject([{ name: "room", suspended: false, offers: 0, listener: caller }]);
    expect(reports).toMatchObject([
      { name: "nobody-yet", state: StreamState.OFFERED, wait: Wait.LISTEN, waitsFor: Side.LISTENER, opener: caller },
      {
        name: "room",
        state: StreamState.ACCEPTED,
        wait: Wait.UNSPECIFIED,
        client: { leg: LegState.ATTACHED, caller, unackedFrames: 0n, windowBytes: expect.any(BigInt), finished: false },
        listener: { leg: LegState.ATTACHED, caller, sentBytes: expect.any(BigInt) },
      },
    ]);
    expect([reports[0]?.listener?.leg, reports[0]?.listener?.caller]).toEqual([LegState.NONE, undefined]);
    expect((await operator.show({ namePrefix: "no", maxStreams: 1 })).streams).toHaveLength(1);
    expect((await operator.show({ namePrefix: "other" })).names).toEqual([]);
    waiting.destroy();
    talking.destroy();
    await server.end();
  });

  test("names the endpoint whose application does not read", async () => {
    const server = await listen("room", (stream) => stream.on("error", () => {}).pause());
    const client = connect("room");
    // One message alone is let in whole, however large it is.
    for (let message = 0; message < 8; message += 1) client.write(new Uint8Array(500_000));
    await client.opened;
    const { streams } = await shown(({ streams: [stream] }) => stream?.wait === Wait.READ);
    expect(streams).toMatchObject([{ name: "room", waitsFor: Side.LISTENER, client: { unackedFrames: 0n } }]);
    client.destroy();
    await server.end();
  }, 20_000);

  test("names the endpoint that has lost its leg", async () => {
    const network = await ChaosProxy.open(Number(new URL(relay.origin).port));
    closers.push(() => network.close());
    const server = await listen("room", (stream) => stream.on("error", () => {}).resume());
    const client = connect("room", {}, network.origin);
    await client.opened;
    network.begin("away");
    const { totals, streams } = await shown(({ streams: [stream] }) => stream?.wait === Wait.RETURN);
    expect(totals).toMatchObject({ suspendedStreams: 1 });
    expect(streams).toMatchObject([{ waitsFor: Side.CLIENT, client: { leg: LegState.AWAY } }]);
    expect(streams[0]?.client?.caller).toBeUndefined();
    network.heal();
    await shown(({ streams: [stream] }) => stream?.client?.leg === LegState.ATTACHED);
    client.destroy();
    await server.end();
  });

  test("EndStream ends a stream for both endpoints, for good, with the operator's words", async () => {
    const lines: Record<string, unknown>[] = [];
    closers.push(logRelay(relay.proxy, { info: (fields) => lines.push(fields) }));
    const ends: unknown[] = [];
    const server = await listen("room", (stream) => {
      stream.resume();
      ends.push(rejection(stream.closed));
    });
    const client = connect("room");
    await client.opened;
    const [report] = (await operator.show({})).streams;
    const streamId = report?.streamId ?? "";
    await operator.endStream({ streamId, reason: "too loud" });
    const end = { failure: Failure.NOT_PERMITTED, code: Code.Aborted, hop: Hop.RELAY };
    expect([await rejection(client.closed), await ends[0]]).toMatchObject([end, end]);
    expect((await rejection(client.closed)).message).toContain("too loud");
    expect(relay.proxy.counts).toMatchObject({ streams: 0, legs: 0, leases: 1 });
    expect(await failureOf(operator.endStream({ streamId }))).toMatchObject({ failure: Failure.STREAM_GONE });
    expect(lines.filter(({ event }) => event === "operator.acted")).toMatchObject([
      { act: "end stream", streamId, message: "too loud", caller: { door: "http", address: "127.0.0.1" } },
    ]);
    await server.end();
  });

  test("EndLease takes a name back from its listener, and leaves its streams alone", async () => {
    const destroyed: unknown[] = [];
    relay.proxy.on("server.destroyed", (name, _lease, reason) => destroyed.push([name, reason]));
    const server = await listen("room", (stream) => {
      stream.on("data", (message) => stream.write(message)).on("error", () => {});
    });
    const client = connect("room");
    await client.opened;
    const [report] = (await operator.show({})).names;
    const leaseId = report?.leaseId ?? "";
    await operator.endLease({ leaseId });
    expect(await rejection(server.closed)).toMatchObject({ failure: Failure.NOT_PERMITTED, code: Code.Aborted });
    expect([relay.proxy.counts.leases, destroyed]).toEqual([0, [["room", "removed"]]]);
    expect(await failureOf(operator.endLease({ leaseId }))).toMatchObject({ failure: Failure.LEASE_GONE });
    const echo = new Promise((resolve) => client.once("data", resolve));
    client.write("still there?");
    expect(String(await echo)).toBe("still there?");
    client.destroy();
  });

  test("Revoke ends what a subject holds, and refuses a revocation that says nothing", async () => {
    const lines: Record<string, unknown>[] = [];
    closers.push(logRelay(relay.proxy, { info: (fields) => lines.push(fields) }));
    const token = await mintToken({ secret, subject: "ann", streams: { "user/{sub}": ["listen"] } });
    const server = await listen("user/ann", () => {}, relay.origin, token);
    expect((await operator.show({})).names).toMatchObject([{ listener: { subject: "ann" } }]);
    expect(await failureOf(operator.revoke({}))).toMatchObject({ failure: Failure.PROTOCOL_VIOLATION });
    const tomorrow = BigInt(Date.now() + 86_400_000);
    const early = await failureOf(operator.revoke({ issuedBeforeMs: tomorrow }));
    expect(early).toMatchObject({ failure: Failure.PROTOCOL_VIOLATION, code: Code.InvalidArgument });
    expect(await failureOf(operator.revoke({ sub: "ann", jti: "1" }))).toMatchObject({ code: Code.InvalidArgument });
    expect(await operator.revoke({ sub: "ann" })).toMatchObject({ ended: 1 });
    expect(await rejection(server.closed)).toMatchObject({ failure: Failure.NOT_PERMITTED });
    relay.proxy.revoke({ jti: "t1" });
    relay.proxy.revoke({ issuedBefore: 0 });
    const acts = lines.filter(({ event }) => event === "operator.acted");
    expect(acts).toMatchObject([
      { act: "revoke", revoked: { subject: "ann" }, caller: { door: "http" } },
      { act: "revoke", revoked: { tokenId: "t1" }, caller: { door: "local" } },
      { act: "revoke", revoked: { issuedBeforeMs: 0 } },
    ]);
  });
});
