import { connect } from "node:net";
import { Code, StreamServer } from "browser-stream-server";
import { type HttpHandler, serve } from "browser-stream-server/http";
import { type Grant, logRelay, type StreamServerProxyOptions } from "browser-stream-server/server";
import { afterEach, describe, expect, test } from "vitest";
import type { Clock } from "../../../stream/platform/clock.js";
import { Deferred } from "../../../stream/platform/deferred.js";
import { systemClock } from "../../../stream/platform/system-clock.js";
import { rejection } from "../../fakes/outcome.js";
import { holdsNothing, openRelay, type TestRelay } from "../relay-ports.js";
import { until } from "../until.js";
import { exchange, head } from "./raw-http.js";

let relay: TestRelay;
const ends: (() => Promise<unknown>)[] = [];

async function opened(options: StreamServerProxyOptions): Promise<void> {
  relay = await openRelay({ gateway: { by: "path" }, ...options });
}

afterEach(async () => {
  for (const end of ends.splice(0)) await end();
  await holdsNothing(relay, "links");
  await relay.close();
});

async function serving(handler: HttpHandler): Promise<void> {
  const server = serve(relay.origin, "a", handler);
  ends.push(() => server.end());
  await server.ready;
}

const endless = () =>
  new Response(new ReadableStream({ start: (controller) => controller.enqueue(new Uint8Array(1)) }));
const get = (headers: Record<string, string> = {}) => fetch(`${relay.origin}/~/a/`, { headers });

describe("a call through the gateway", () => {
  test("is the caller's: revoked with its token, while those of others go on", async () => {
    await opened({ authorize: ({ token }) => (token === "" ? {} : { subject: token }) });
    await serving(endless);
    const [ann, bob] = await Promise.all(
      ["ann", "bob"].map(async (token) => (await get({ authorization: `Bearer ${token}` })).body?.getReader()),
    );
    for (const reader of [ann, bob]) expect((await reader?.read())?.value).toHaveLength(1);
    expect(relay.proxy.revoke({ sub: "ann" })).toBe(1);
    await rejection(ann?.read() as Promise<unknown>);
    await bob?.cancel();
  });

  test("that was let in anew after a revocation does not meet the stream of before", async () => {
    let calls = 0;
    await opened({
      authorize({ action }): Grant {
        if (action === "listen") return {};
        calls += 1;
        // The stream of the first call ends in the turn after this one.
        if (calls === 2) expect(relay.proxy.revoke({ sub: "ann" })).toBe(1);
        return { subject: "ann", issuedAtMs: Date.now() + calls };
      },
    });
    await serving(() => new Response("hello"));
    for (const _ of [1, 2]) expect((await get({ authorization: "Bearer token" })).status).toBe(200);
  });

  test("shares a stream with calls of the same caller, and with those of no other", async () => {
    await opened({ authorize: ({ token, caller }): Grant => ({ subject: token, meta: { at: caller.address } }) });
    const callers: unknown[] = [];
    await serving((_, { caller }) => {
      callers.push(caller);
      return new Response("");
    });
    for (const token of ["ann", "ann", "bob"]) await (await get({ authorization: `Bearer ${token}` })).text();
    await (await get({ authorization: "Bearer bob", origin: "https://a.example" })).text();
    // A listener is told once for each stream who is there.
    expect(new Set(callers).size).toBe(3);
    expect(callers).toMatchObject([
      { subject: "ann", viaGateway: true },
      { subject: "ann" },
      { subject: "bob", origin: "" },
      { subject: "bob", origin: "https://a.example" },
    ]);
  });

  test("shares no stream with a call from another address, or by another token, of the same caller", async () => {
    await opened({ trustedProxies: ["127.0.0.1"], authorize: () => ({ subject: "ann" }) });
    const callers = new Set<unknown>();
    await serving((_, { caller }) => {
      callers.add(caller);
      return new Response("");
    });
    const streams: number[] = [];
    const call = async (token: string, address: string) => {
      await (await get({ authorization: `Bearer ${token}`, "x-forwarded-for": address })).text();
      streams.push(callers.size);
    };
    await call("one", "192.0.2.1");
    await call("one", "192.0.2.1");
    await call("one", "192.0.2.2");
    await call("two", "192.0.2.1");
    expect(streams).toEqual([1, 1, 2, 3]);
  });

  test("goes to no listener if its caller has left before the policy has let it in", async () => {
    const [asked, decision] = [new Deferred<void>(), new Deferred<Grant>()];
    await opened({
      authorize({ action, token }) {
        if (action === "listen" || token !== "ann") return {};
        asked.resolve();
        return decision.promise;
      },
    });
    const came: string[] = [];
    await serving(({ url }) => {
      came.push(new URL(url).search);
      return new Response("");
    });
    const ended = new Deferred<void>();
    logRelay(relay.proxy, { info: ({ event }) => (event === "call.ended" ? ended.resolve() : undefined) });
    const socket = connect(Number(new URL(relay.origin).port), "127.0.0.1");
    socket.write(head("GET", "/~/a/?left", ["Authorization: Bearer ann"]));
    await asked.promise;
    socket.destroy();
    await ended.promise;
    decision.resolve({});
    expect((await get()).status).toBe(200);
    expect(came).toEqual([""]);
  });

  test("counts for who it is, and is refused with when to try again", async () => {
    await opened({ limits: { maxGatewayCallsPerCaller: 1 }, authorize: ({ token }) => ({ subject: token }) });
    await serving(endless);
    const ann = await get({ authorization: "Bearer ann" });
    const again = await get({ authorization: "Bearer ann" });
    expect([again.status, again.headers.get("retry-after")]).toEqual([429, "1"]);
    expect(again.headers.get("stream-error")).toMatch(/^failure=limit_reached, hop=relay, code=resource_exhausted/);
    const bob = await get({ authorization: "Bearer bob" });
    expect(bob.status).toBe(200);
    for (const { body } of [ann, bob]) await body?.cancel();
  });

  test("is refused where the relay has too many", async () => {
    await opened({ limits: { maxGatewayCalls: 1 } });
    await serving(endless);
    const one = await get();
    const more = await get();
    expect([more.status, more.headers.get("retry-after")]).toEqual([503, "1"]);
    await one.body?.cancel();
    // Its place is free when the gateway has heard that its caller has gone.
    await until(async () => {
      const { status, body } = await get();
      await body?.cancel();
      return status === 200;
    });
  });

  test("is refused where the relay is leaving, with the end of its connection; those under way go on", async () => {
    await opened({});
    await serving(endless);
    const under = (await get()).body?.getReader();
    await under?.read();
    const drained = relay.proxy.drain({ timeoutMs: 10_000 });
    const request = head("GET", "/~/a/").replace("Connection: close\r\n", "");
    const { statuses, text, end } = await exchange(relay.origin, request);
    // Without the header, Node ends the connection as well when it has been idle for 5 s.
    expect([statuses, /^connection: close\r$/im.test(text), end]).toEqual([[503], true, "ended"]);
    expect([text.includes("failure=draining, hop=relay"), /^retry-after: 2\r$/im.test(text)]).toEqual([true, true]);
    await under?.cancel();
    await drained;
  });

  test.each(["before the relay drains", "while it drains"])(
    "that ends %s leaves no stream for which the relay waits until it is idle",
    async (when) => {
      // A stream ends by itself when it was idle for seconds, of which none pass here.
      const after: Clock["after"] = (delayMs, ...rest) =>
        delayMs < 1_000 ? systemClock.after(delayMs, ...rest) : () => {};
      await opened({ clock: { now: systemClock.now, after } });
      await serving(when === "while it drains" ? endless : () => new Response("whole"));
      const body = (await get()).body?.getReader();
      await body?.read();
      if (when === "before the relay drains") await body?.read();
      const drained = relay.proxy.drain({ timeoutMs: 60_000 });
      if (when === "while it drains") await body?.cancel();
      await drained;
    },
  );

  test("is answered with 503 when the policy fails, and with 404 for a name that cannot be", async () => {
    await opened({
      authorize({ action }) {
        if (action === "connect") throw new Error("a mistake");
        return {};
      },
    });
    relay.proxy.on("warning", () => {});
    await serving(() => new Response(""));
    const failed = await get();
    expect([failed.status, failed.headers.get("retry-after")]).toEqual([503, "2"]);
    const long = await fetch(`${relay.origin}/~/${"x".repeat(300)}/`);
    expect([long.status, long.headers.get("stream-error")?.startsWith("failure=name_invalid")]).toEqual([404, true]);
  });

  test("is declined by a listener with the status of its code", async () => {
    await opened({});
    const answers: [number, string | null, string | null][] = [];
    const codes = [
      Code.PermissionDenied,
      Code.Unauthenticated,
      Code.Unavailable,
      Code.ResourceExhausted,
      Code.FailedPrecondition,
    ];
    const server = StreamServer(relay.origin, (stream) => stream.reject(codes[answers.length], "<b>words</b>")).listen(
      "a",
    );
    ends.push(() => server.end());
    await server.ready;
    for (const _ of codes) {
      const response = await get({ accept: "text/html" });
      const [after, asked] = ["retry-after", "www-authenticate"].map((name) => response.headers.get(name));
      answers.push([response.status, after ?? null, asked ?? null]);
      // The words of a listener are a stranger's.
      expect(await response.text()).not.toContain("words");
    }
    expect(answers).toEqual([
      [403, null, null],
      [401, null, 'Bearer realm="relay"'],
      [503, "2", null],
      [503, "2", null],
      [502, null, null],
    ]);
  });
});
