import { Code, ConnectError } from "@connectrpc/connect";
import { afterEach, beforeEach, describe, expect, test, vi } from "vitest";
import { Failure, Hop } from "../../../../gen/streamserver/v1/failure_pb.js";
import { Feature } from "../../../../gen/streamserver/v1/relay_pb.js";
import { rawCodec } from "../../../../stream/codec.js";
import { toConnectError } from "../../../../stream/error/failure-detail.js";
import { StreamError } from "../../../../stream/error/stream-error.js";
import type { Stream } from "../../../../stream/stream.js";
import type { AccessToken } from "../../../../web/api/access-token.js";
import { StreamServer } from "../../../../web/api/stream-server.js";
import { setTransportFacts } from "../../../../web/transport/transport-facts.js";
import { attemptTimeoutMs, wayBackOf } from "../../../../web/transport/way-back.js";
import { FakeClock } from "../../../fakes/fake-clock.js";
import { FakePage } from "../../../fakes/fake-page.js";
import { ListenCalls, type ListenEvent } from "../../../fakes/listen-calls.js";
import { promiseState, rejection, settled } from "../../../fakes/outcome.js";

const graceMs = 120_000;
/** The longest backoff. */
const maxBackoffMs = 5_000;
/** A relay has this long to answer `Unlisten`. */
const answerTimeoutMs = 5_000;

let clock: FakeClock;
let relay: ListenCalls;
let server: StreamServer<unknown, never>;
let events: unknown[];
let handed: Stream<unknown, never>[];
let unheard: string[];

beforeEach(() => {
  clock = new FakeClock();
  relay = new ListenCalls();
  // A link has a watch of its own, so that the clock of these tests may run on.
  setTransportFacts(relay.transport, { kind: () => "websocket" });
  [events, handed, unheard] = [[], [], []];
  vi.spyOn(Math, "random").mockReturnValue(0.99);
  server = newServer();
});

afterEach(async () => {
  vi.restoreAllMocks();
  relay.onUnlisten = () => {};
  for (const stream of handed) stream.destroy();
  void server.end();
  await settled();
  clock.advance(answerTimeoutMs);
  await server.end();
  await settled();
  expect(clock.timers).toBe(0);
  expect(relay.calls.filter((call) => !call.isOver)).toEqual([]);
});

function newServer(resumes = true, ownerKey?: string, token?: AccessToken): StreamServer<unknown, never> {
  const made = new StreamServer<unknown, never>({
    transport: async () => relay.transport,
    codec: rawCodec as never,
    listed: true,
    relayUrl: "https://relay.example",
    ownerKey,
    token,
    resumes,
    clock,
    callback: (stream) => {
      handed.push(stream.on("error", () => {}));
      // The test decides.
      return new Promise(() => {});
    },
    onUnheard: (what) => unheard.push(what),
  });
  for (const event of ["ready", "resumed", "error", "close"] as const) made.on(event, () => events.push(event));
  return made.on("suspended", (event) => events.push(["suspended", event]));
}

function registered(
  token: string,
  streamIds: string[] = [],
  features = [Feature.RESUME],
  accessExpiresInMs = 0,
): ListenEvent {
  const limits = { features, graceMs };
  const lease = { leaseId: "lease", leaseToken: token, limits, heartbeatIntervalMs: 15_000, accessExpiresInMs };
  return { case: "registered", value: { ...lease, waitingStreamIds: streamIds } };
}

const offer = (streamId: string): ListenEvent => ({ case: "offer", value: { streamId } });

async function listening(): Promise<void> {
  server.listen("name");
  await settled();
  await relay.last.say(registered("token 0"));
}

/** The backoff is over, whatever the jitter. */
async function nextAttempt(): Promise<void> {
  const made = relay.calls.length;
  // An attempt that gets no answer is given up sooner than the longest wait is over.
  for (let waitedMs = 0; relay.calls.length === made && waitedMs < maxBackoffMs; waitedMs += 100) {
    clock.advance(100);
    await settled();
  }
  expect(relay.calls).toHaveLength(made + 1);
}

async function suspended(): Promise<void> {
  await listening();
  await relay.last.break();
  expect(server.state).toBe("suspended");
}

const suspendedEvent = ["suspended", { hop: Hop.RELAY, graceMs }];

describe("StreamServer whose Listen breaks", () => {
  test("takes its name up again with the newest token and a generation that grows", async () => {
    await suspended();
    expect(server.transport).toBeUndefined();
    await nextAttempt();
    expect(relay.last.request).toMatchObject({ name: "name", listed: true });
    expect(relay.last.request).toMatchObject({ leaseId: "lease", leaseToken: "token 0", generation: 1 });
    await relay.last.break();
    await nextAttempt();
    expect(relay.last.request).toMatchObject({ leaseId: "lease", leaseToken: "token 0", generation: 2 });
    await relay.last.say(registered("token 2"));
    expect([server.state, server.transport]).toEqual(["listening", "websocket"]);
    await relay.last.break();
    await nextAttempt();
    expect(relay.last.request).toMatchObject({ leaseToken: "token 2", generation: 3 });
    expect(events).toEqual(["ready", suspendedEvent, "resumed", suspendedEvent]);
    expect(await promiseState(server.closed)).toBe("pending");
  });

  test("takes its name up again with the token that came with a newer access token", async () => {
    server = newServer(true, undefined, async () => "access token");
    relay.renewedToken = "renewed token";
    server.listen("name");
    await settled();
    await relay.last.say(registered("token 0", [], [Feature.RESUME], 60_000));
    clock.advance(45_000);
    await settled();
    await settled();
    await relay.last.break();
    await nextAttempt();
    expect(relay.last.request).toMatchObject({ leaseId: "lease", leaseToken: "renewed token", generation: 1 });
  });

  test.each([
    ["accept", (stream: Stream<unknown, never>) => void stream.end()],
    ["reject", (stream: Stream<unknown, never>) => stream.reject()],
  ])("can still %s a client that waits at its next lease, which has another token for it", async (call, decide) => {
    await listening();
    await relay.last.say({ case: "offer", value: { streamId: "waits", legToken: "old token" } });
    await relay.last.break();
    await nextAttempt();
    await relay.last.fail(Failure.LEASE_GONE);
    await relay.last.say(registered("token 1", ["waits"]));
    await relay.last.say({ case: "offer", value: { streamId: "waits", legToken: "new token" } });
    expect(handed).toHaveLength(1);
    decide(handed[0] as Stream<unknown, never>);
    await settled();
    expect(relay.decisions).toEqual([`${call} new token`]);
  });

  test("declines a client once more that waits at its next lease, if the relay has not heard it before", async () => {
    relay.onReject = (legToken) => {
      if (legToken === "old token") throw new ConnectError("the network is away", Code.Unavailable);
    };
    await listening();
    await relay.last.say({ case: "offer", value: { streamId: "waits", legToken: "old token" } });
    await relay.last.break();
    handed[0]?.reject();
    await nextAttempt();
    await relay.last.fail(Failure.LEASE_GONE);
    await relay.last.say(registered("token 1", ["waits"]));
    await relay.last.say({ case: "offer", value: { streamId: "waits", legToken: "new token" } });
    expect([handed.length, relay.decisions]).toEqual([1, ["reject new token"]]);
    // The first attempt has nothing more to tell.
    relay.onReject = () => {};
    clock.advance(graceMs);
    await settled();
  });

  test("names the feature, and fails where the relay does not", async () => {
    server.listen("name");
    await settled();
    expect(relay.last.request.capabilities?.features).toEqual([Feature.CREDIT, Feature.ACK, Feature.RESUME]);
    await relay.last.say(registered("token", [], []));
    await relay.last.break();
    expect(await rejection(server.closed)).toMatchObject({ failure: Failure.LEG_LOST, hop: Hop.RELAY });
    expect(events).toEqual(["ready", "error", "close"]);
  });

  test("fails where it is not to resume", async () => {
    server = newServer(false);
    await listening();
    expect(relay.last.request.capabilities?.features).toEqual([]);
    await relay.last.break();
    expect(await rejection(server.closed)).toMatchObject({ failure: Failure.LEG_LOST, hop: Hop.RELAY });
  });

  test("fails when the grace period is over, counted from the break, and hangs up", async () => {
    await suspended();
    const brokenMs = clock.now();
    await nextAttempt();
    clock.advance(brokenMs + graceMs - clock.now() - 1);
    expect([server.state, unheard]).toEqual(["suspended", []]);
    clock.advance(1);
    expect(await rejection(server.closed)).toMatchObject({ failure: Failure.LEG_LOST, hop: Hop.RELAY });
    await settled();
    expect(relay.last.isOver).toBe(true);
    expect(events).toEqual(["ready", suspendedEvent, "error", "close"]);
  });

  test("gives an attempt up that the relay does not answer, and makes another", async () => {
    await suspended();
    await nextAttempt();
    const silent = relay.last;
    clock.advance(attemptTimeoutMs(0) - 200);
    await settled();
    expect(relay.last).toBe(silent);
    await nextAttempt();
    expect(silent.isOver).toBe(true);
    expect(relay.last.request.generation).toBe(2);
  });

  test("makes an attempt when another call over its transport gets through", async () => {
    await suspended();
    await nextAttempt();
    await relay.last.break();
    clock.advance(100);
    await settled();
    expect(relay.calls).toHaveLength(2);
    wayBackOf(relay.transport, clock).gotThrough();
    await settled();
    expect(relay.calls).toHaveLength(3);
  });

  test("has the other calls over its transport make their attempts when it gets through", async () => {
    await suspended();
    await nextAttempt();
    let attempts = 0;
    wayBackOf(relay.transport, clock).wait(6, () => (attempts += 1));
    clock.advance(100);
    await relay.last.say(registered("token 1"));
    expect(attempts).toBe(1);
  });

  test("waits longer each time when its Listen breaks as soon as it is answered", async () => {
    await suspended();
    const brokenMs = clock.now();
    for (let times = 0; times < 6; times += 1) {
      await nextAttempt();
      await relay.last.say(registered("token"));
      await relay.last.break();
    }
    expect(clock.now() - brokenMs).toBeGreaterThan(5_000);
    clock.advance(60_000);
    await settled();
    await relay.last.say(registered("token"));
    clock.advance(1_000);
    await relay.last.break();
    const attempts = relay.calls.length;
    clock.advance(100);
    await settled();
    expect(relay.calls.length).toBe(attempts + 1);
  });

  test("is not suspended when the page was left", async () => {
    await listening();
    const left = new StreamError("", { code: Code.Canceled, failure: Failure.LEG_LOST, hop: Hop.CALLER });
    await relay.last.end(toConnectError(left));
    expect(server.state).toBe("closed");
  });

  test.each([Failure.FENCED, Failure.NAME_TAKEN])("fails when an attempt is answered with %i", async (failure) => {
    await suspended();
    await nextAttempt();
    await relay.last.fail(failure);
    expect(await rejection(server.closed)).toMatchObject({ failure });
  });

  test("fails when its Listen is fenced", async () => {
    await listening();
    await relay.last.fail(Failure.FENCED);
    expect(await rejection(server.closed)).toMatchObject({ failure: Failure.FENCED });
  });

  test("fails where its first call has no answer but a broken connection", async () => {
    server.listen("name");
    await settled();
    await relay.last.break();
    expect(await rejection(server.ready)).toMatchObject({ failure: Failure.LEG_LOST });
    expect(relay.calls).toHaveLength(1);
  });

  test("keeps trying while the relay has no room", async () => {
    await suspended();
    await nextAttempt();
    await relay.last.fail(Failure.LIMIT_REACHED);
    await nextAttempt();
    expect(server.state).toBe("suspended");
  });
});

describe("StreamServer whose lease is not known any more", () => {
  test.each([Failure.LEASE_GONE, Failure.TOKEN_INVALID, Failure.FEATURE_UNSUPPORTED])(
    "claims its name anew, with the same owner key (%i)",
    async (failure) => {
      await suspended();
      await nextAttempt();
      await relay.last.fail(failure);
      expect(relay.calls).toHaveLength(3);
      expect(relay.last.request).toMatchObject({ name: "name", leaseId: "", leaseToken: "", generation: 0 });
      expect(relay.last.request.ownerKey).toBe(relay.calls[0]?.request.ownerKey);
      expect(relay.last.request.ownerKey.length).toBeGreaterThanOrEqual(16);
      await relay.last.say(registered("another lease's token"));
      expect([server.state, ...events]).toEqual(["listening", "ready", suspendedEvent, "resumed"]);
      await relay.last.break();
      await nextAttempt();
      expect(relay.last.request).toMatchObject({ leaseToken: "another lease's token", generation: 2 });
    },
  );

  test("keeps trying to claim it, and fails if somebody else has the name", async () => {
    await suspended();
    await nextAttempt();
    await relay.last.fail(Failure.TOKEN_INVALID);
    await relay.last.break();
    await nextAttempt();
    expect(relay.last.request.leaseId).toBe("");
    await relay.last.fail(Failure.NAME_TAKEN);
    expect(await rejection(server.closed)).toMatchObject({ failure: Failure.NAME_TAKEN });
  });
});

describe("StreamServer's owner key", () => {
  test("is the one of its option, with each call", async () => {
    server = newServer(true, "secret");
    await suspended();
    await nextAttempt();
    expect(relay.calls.map(({ request }) => request.ownerKey)).toEqual(["secret", "secret"]);
  });

  test("is a new one for each server without the option", async () => {
    await listening();
    const first = relay.last.request.ownerKey;
    await server.end();
    server = newServer();
    await listening();
    expect(relay.last.request.ownerKey).not.toBe(first);
  });

  test.each([
    ["kept", "its Listen breaks", () => relay.last.break()],
    ["not kept", "it is fenced", () => relay.last.fail(Failure.FENCED)],
    ["not kept", "it is ended", () => server.end()],
  ])("is %s in the tab of a page after %s", async (isKept, _what, end) => {
    const page = new FakePage();
    const tab = new Map<string, string>();
    vi.stubGlobal("sessionStorage", {
      getItem: (item: string) => tab.get(item) ?? null,
      setItem: (item: string, value: string) => tab.set(item, value),
      removeItem: (item: string) => tab.delete(item),
    });
    server = newServer(false);
    await listening();
    await end();
    await server.end();
    expect(tab.size).toBe(isKept === "kept" ? 1 : 0);
    expect(page.listeners).toBe(0);
    vi.unstubAllGlobals();
  });
});

describe("StreamServer with offers when its Listen breaks", () => {
  test("withdraws those that do not wait any more, and hands out each of the others once", async () => {
    await listening();
    for (const streamId of ["gone", "waiting", "accepted"]) await relay.last.say(offer(streamId));
    handed[2]?.resume();
    await relay.last.break();
    await nextAttempt();
    await relay.last.say(registered("token", ["waiting", "accepted", "new"]));
    for (const streamId of ["waiting", "accepted", "new"]) await relay.last.say(offer(streamId));
    expect(handed).toHaveLength(4);
    expect(await rejection((handed[0] as Stream<unknown, never>).opened)).toMatchObject({
      failure: Failure.OFFER_GONE,
    });
    expect(await promiseState((handed[1] as Stream<unknown, never>).opened)).toBe("pending");
  });

  test("hands out the stream of a relay that offers it anew after it is over", async () => {
    await listening();
    for (let times = 1; times <= 2; times += 1) {
      await relay.last.say(offer("again"));
      expect(handed).toHaveLength(times);
      handed.at(-1)?.resume();
      await settled();
      handed.at(-1)?.destroy();
      await settled();
    }
  });

  test("withdraws all that wait for another lease", async () => {
    await listening();
    await relay.last.say(offer("lost"));
    await relay.last.break();
    await nextAttempt();
    await relay.last.fail(Failure.TOKEN_INVALID);
    expect(await promiseState((handed[0] as Stream<unknown, never>).opened)).toBe("pending");
    await relay.last.say(registered("another"));
    expect(await promiseState((handed[0] as Stream<unknown, never>).opened)).toBe("rejected");
  });
});

describe("StreamServer at a relay that drains", () => {
  let moved: number;

  beforeEach(async () => {
    moved = 0;
    setTransportFacts(relay.transport, { kind: () => "websocket", moveOn: () => (moved += 1) });
    await listening();
    await relay.last.say({ case: "draining", value: { graceMs: 10_000 } });
  });

  test("takes its name along to a new connection, and lets the old call go on until then", async () => {
    const [old, next] = relay.calls;
    expect(moved).toBe(1);
    expect(next?.request).toMatchObject({ leaseId: "lease", leaseToken: "token 0", generation: 1 });
    await old?.say(offer("late"));
    await old?.say({ case: "draining", value: { graceMs: 9_000 } });
    expect([relay.calls.length, moved]).toEqual([2, 1]);
    expect(handed).toHaveLength(1);
    expect(old?.isOver).toBe(false);
    await next?.say(registered("token 1", ["late"]));
    expect(old?.isOver).toBe(true);
    expect([server.state, ...events]).toEqual(["listening", "ready"]);
  });

  test("moves on again while the address leads to the one that drains", async () => {
    await relay.last.fail(Failure.DRAINING);
    expect(moved).toBe(2);
    await nextAttempt();
    await relay.last.say(registered("token 2"));
    expect([server.state, ...events]).toEqual(["listening", "ready"]);
  });

  test("is suspended when the old call ends before the new one is answered", async () => {
    const [old, next] = relay.calls;
    await old?.fail(Failure.FENCED);
    expect([server.state, relay.calls.length]).toEqual(["suspended", 2]);
    await next?.say(registered("token 1"));
    expect([server.state, ...events]).toEqual(["listening", "ready", suspendedEvent, "resumed"]);
  });
});

describe("StreamServer.end", () => {
  const unlistened = () => relay.unlistened.map(({ leaseId, leaseToken }) => [leaseId, leaseToken]);

  test("gives the name back that is being claimed, as soon as the relay has answered", async () => {
    server.listen("name");
    await settled();
    const ended = server.end();
    expect([await promiseState(ended), server.state]).toEqual(["pending", "ending"]);
    await relay.last.say(registered("token"));
    await ended;
    expect(unlistened()).toEqual([["lease", "token"]]);
    expect(events).toEqual(["close"]);
  });

  test("waits 5 s for the answer to a claim", async () => {
    server.listen("name");
    await settled();
    const ended = server.end();
    await settled();
    clock.advance(answerTimeoutMs - 1);
    expect(await promiseState(ended)).toBe("pending");
    clock.advance(1);
    await ended;
  });

  test("claims no name again that was refused meanwhile", async () => {
    server.listen("name");
    await settled();
    const ended = server.end();
    await relay.last.break();
    await ended;
    expect([relay.calls.length, ...events]).toEqual([1, "close"]);
  });

  test("claims nothing where the relay was not called yet", async () => {
    server.listen("name");
    await server.end();
    await settled();
    expect(relay.calls).toEqual([]);
  });

  test("gives the name back while the server is suspended, and tries until the relay can be reached", async () => {
    await suspended();
    relay.onUnlisten = () => {
      throw new ConnectError("the network is away", Code.Unavailable);
    };
    const ended = server.end();
    await settled();
    expect(unlistened()).toHaveLength(1);
    relay.onUnlisten = () => {};
    clock.advance(100);
    await ended;
    expect(unlistened()).toEqual([
      ["lease", "token 0"],
      ["lease", "token 0"],
    ]);
    expect([relay.calls.length, ...events]).toEqual([1, "ready", suspendedEvent, "close"]);
  });

  test("resolves after 5 s where the relay cannot be reached", async () => {
    await suspended();
    relay.onUnlisten = () => {
      throw new ConnectError("the network is away", Code.Unavailable);
    };
    const ended = server.end();
    await settled();
    for (let leftMs = answerTimeoutMs; leftMs > 0; leftMs -= 100) {
      expect(server.state).toBe("ending");
      clock.advance(100);
      await settled();
    }
    await ended;
  });

  test("asks again where the relay drains", async () => {
    await listening();
    relay.onUnlisten = () => {
      throw toConnectError(new StreamError("", { failure: Failure.DRAINING }));
    };
    const ended = server.end();
    await settled();
    relay.onUnlisten = () => {};
    clock.advance(100);
    await ended;
    expect(unlistened()).toHaveLength(2);
  });

  test("asks no longer for a name that the relay holds no more", async () => {
    await suspended();
    relay.onUnlisten = () => {
      throw toConnectError(new StreamError("", { failure: Failure.LEASE_GONE }));
    };
    await server.end();
    expect(unlistened()).toHaveLength(1);
  });

  test("hangs up the call that an attempt has under way", async () => {
    await suspended();
    await nextAttempt();
    await server.end();
    await settled();
    expect(relay.last.isOver).toBe(true);
    expect(unlistened()).toHaveLength(1);
  });
});

describe("StreamServer with a function for the access token", () => {
  test("asks it again to take its name up, and takes it up with the newest token where it fails", async () => {
    const tokens = ["first", "second"];
    server = newServer(true, undefined, async () => tokens.shift() ?? Promise.reject(new Error("no other token")));
    await listening();
    expect(relay.last.request.accessToken).toBe("first");
    await relay.last.break();
    await nextAttempt();
    expect(relay.last.request).toMatchObject({ accessToken: "second", leaseToken: "token 0" });
    await relay.last.break();
    await nextAttempt();
    expect(relay.last.request).toMatchObject({ accessToken: "second", generation: 2 });
  });

  test("fails with unauthenticated where it has no token to claim the name with", async () => {
    server = newServer(true, undefined, () => Promise.reject(new Error("logged out")));
    server.listen("name");
    expect(await rejection(server.closed)).toMatchObject({ code: Code.Unauthenticated, hop: Hop.CALLER });
    expect(relay.calls).toEqual([]);
  });

  test("ends at once while the function is still to answer", async () => {
    server = newServer(true, undefined, () => new Promise(() => {}));
    server.listen("name");
    await settled();
    await server.end();
    // The deadline of the function is the only timer that is left.
    clock.advance(10_000);
    await settled();
    expect([server.state, relay.calls.length]).toEqual(["closed", 0]);
  });
});
