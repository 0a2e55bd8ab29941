import { type HttpHandler, serve } from "browser-stream-server/http";
import { logRelay, type StreamServerProxyOptions } from "browser-stream-server/server";
import { afterEach, describe, expect, test } from "vitest";
import { Deferred } from "../../../stream/platform/deferred.js";
import { ChaosProxy } from "../../chaos/network/chaos-proxy.js";
import { rejection } from "../../fakes/outcome.js";
import { holdsNothing, openRelay, type TestRelay } from "../relay-ports.js";
import { until } from "../until.js";

let relay: TestRelay;
let network: ChaosProxy;
/** Resolves when the policy has let a call in, in the turn in which the call looks for its stream. */
let admitted = new Deferred<void>();
const events: string[] = [];
const ends: (() => Promise<unknown>)[] = [];

async function opened(limits: StreamServerProxyOptions["limits"] = {}): Promise<void> {
  relay = await openRelay({
    gateway: { by: "path" },
    limits,
    authorize({ action }) {
      if (action === "connect") admitted.resolve();
      return {};
    },
  });
  logRelay(relay.proxy, { info: ({ event }) => events.push(String(event)) });
  network = await ChaosProxy.open(Number(new URL(relay.origin).port));
}

afterEach(async () => {
  network.heal();
  for (const end of ends.splice(0)) await end();
  await holdsNothing(relay, "links");
  await network.close();
  await relay.close();
  events.length = 0;
});

/** A listener that may take the name from the one before, as a page does that was loaded again. */
async function serving(origin: string, handler: HttpHandler): Promise<void> {
  const server = serve(origin, "a", handler, { ownerKey: "the same owner" });
  ends.push(() => server.end());
  await server.ready;
}

/** Makes a call, and returns when that was let in. */
async function calling(body: string, signal?: AbortSignal): Promise<{ answer: Promise<Response> }> {
  admitted = new Deferred();
  const answer = fetch(`${relay.origin}/~/a/`, { method: "POST", body, ...(signal && { signal }) });
  await admitted.promise;
  return { answer };
}

/** Cuts the connection of the listener behind the network. */
async function cut(): Promise<void> {
  network.begin("away");
  await until(
    () => events.includes("stream.suspended"),
    () => String(events),
  );
}

describe("a call to a listener whose connection is lost", () => {
  /** A listener that tells which it is, and what it was asked. */
  const telling = (who: string, asked: string[]): HttpHandler => {
    return async (request) => {
      const text = await request.text();
      asked.push(`${who} ${text}`);
      return new Response(`${who} ${text}`);
    };
  };

  test("goes on a new stream if another listener takes the name, and no other has seen anything of it", async () => {
    await opened();
    const asked: string[] = [];
    await serving(network.origin, telling("old", asked));
    expect(await (await (await calling("1")).answer).text()).toBe("old 1");
    await cut();
    const { answer } = await calling("2");
    await serving(relay.origin, telling("new", asked));
    expect(await (await answer).text()).toBe("new 2");
    expect(asked).toEqual(["old 1", "new 2"]);
  });

  test("waits for the listener to come back, which is asked once", async () => {
    await opened();
    const asked: string[] = [];
    await serving(network.origin, telling("old", asked));
    await (await (await calling("1")).answer).text();
    await cut();
    const { answer } = await calling("2");
    network.heal();
    expect(await (await answer).text()).toBe("old 2");
    expect(asked).toEqual(["old 1", "old 2"]);
  });

  test("is not made again if the listener may have seen something of it", async () => {
    await opened();
    const asked: string[] = [];
    const isAsked = new Deferred<void>();
    await serving(network.origin, () => {
      isAsked.resolve();
      return new Promise(() => {});
    });
    const { answer } = await calling("1");
    await isAsked.promise;
    await cut();
    await serving(relay.origin, telling("new", asked));
    const { status, headers } = await answer;
    expect([status, headers.get("stream-error")?.split(",")[0]]).toEqual([502, "failure=leg_lost"]);
    expect(asked).toEqual([]);
  });

  test("is not made if its caller has left meanwhile", async () => {
    await opened();
    const asked: string[] = [];
    await serving(network.origin, telling("old", asked));
    await (await (await calling("1")).answer).text();
    await cut();
    const leaving = new AbortController();
    const { answer } = await calling("2", leaving.signal);
    leaving.abort();
    await rejection(answer);
    await until(() => events.filter((event) => event === "call.ended").length === 2);
    network.heal();
    await (await (await calling("3")).answer).text();
    expect(asked).toEqual(["old 1", "old 3"]);
  });

  test("is answered with 504 if nobody comes in time", async () => {
    await opened({ gatewayTimeoutMs: 1_000 });
    await serving(network.origin, telling("old", []));
    expect((await (await calling("1")).answer).status).toBe(200);
    await cut();
    const { status } = await (await calling("2")).answer;
    expect(status).toBe(504);
  });
});
