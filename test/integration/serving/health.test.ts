import { once } from "node:events";
import { connect } from "node:http2";
import { setImmediate } from "node:timers/promises";
import { createClient } from "@connectrpc/connect";
import { createConnectTransport, createGrpcTransport, createGrpcWebTransport } from "@connectrpc/connect-node";
import { Code } from "browser-stream-server";
import { expect, onTestFinished, test } from "vitest";
import {
  Health,
  type HealthCheckResponse,
  HealthCheckResponse_ServingStatus as ServingStatus,
} from "../../../gen/grpc/health/v1/health_pb.js";
import { holdsNothing, openRelay, selfSigned, type TestRelay } from "../relay-ports.js";

async function open(options: Parameters<typeof openRelay>[0] = {}): Promise<TestRelay> {
  const relay = await openRelay(options);
  onTestFinished(() => relay.close());
  return relay;
}

const transports = {
  "Connect over HTTP/1.1": (baseUrl: string) => createConnectTransport({ baseUrl, httpVersion: "1.1" }),
  gRPC: (baseUrl: string) => createGrpcTransport({ baseUrl }),
  "gRPC-Web": (baseUrl: string) => createGrpcWebTransport({ baseUrl, httpVersion: "1.1" }),
};

test.each(Object.entries(transports))("%s: Check and List say what is served", async (_, create) => {
  const { url } = await open();
  const health = createClient(Health, create(url));
  for (const service of ["", "streamserver.v1.RelayService", "streamserver.v1.LinkService", "grpc.health.v1.Health"]) {
    expect(await health.check({ service })).toMatchObject({ status: ServingStatus.SERVING });
  }
  await expect(health.check({ service: "other.Service" })).rejects.toMatchObject({ code: Code.NotFound });
  const { statuses } = await health.list({});
  expect(Object.keys(statuses).sort()).toEqual([
    "",
    "grpc.health.v1.Health",
    "grpc.reflection.v1.ServerReflection",
    "streamserver.v1.LinkService",
    "streamserver.v1.RelayService",
  ]);
});

test("a probe that knows only GET gets 200, and 404 for what nobody knows", async () => {
  const { url } = await open();
  const probe = (service: string) => {
    const message = encodeURIComponent(JSON.stringify({ service }));
    return fetch(`${url}/grpc.health.v1.Health/Check?connect=v1&encoding=json&message=${message}`);
  };
  const response = await probe("");
  expect([response.status, await response.json()]).toEqual([200, { status: "SERVING" }]);
  expect((await probe("other")).status).toBe(404);
});

test.each([
  ["without TLS", {}],
  ["with TLS", { tls: selfSigned() }],
])("a port of its own %s answers probes, and other requests as before", async (_, options) => {
  const relay = await open(options);
  const session = connect(relay.origin, { rejectUnauthorized: false });
  onTestFinished(() => session.destroy());
  const status = async (path: string, method = "GET") => {
    const call = session.request({ ":path": path, ":method": method });
    const [headers] = await once(call.resume(), "response");
    return headers[":status"];
  };
  for (const path of ["/healthz", "/readyz", "/readyz?verbose"]) {
    expect([await status(path), await status(path, "HEAD"), await status(path, "POST")]).toEqual([200, 200, 405]);
  }
  expect([await status("/healthz/"), await status("/browser-server/healthz"), await status("/")]).toEqual([
    404, 404, 404,
  ]);
});

test("Watch goes on with the longest timeout that gRPC has, for which no timer is long enough", async () => {
  const relay = await open();
  const session = connect(relay.origin);
  onTestFinished(() => session.destroy());
  const call = session.request({
    ":path": `${new URL(relay.url).pathname}/grpc.health.v1.Health/Watch`,
    ":method": "POST",
    "content-type": "application/grpc",
    te: "trailers",
    "grpc-timeout": "99999999H",
  });
  call.end(new Uint8Array(5));
  const ended = once(call.resume(), "close").then(() => "ended");
  // A timer of a millisecond is over after so many round trips.
  const health = createClient(Health, transports["Connect over HTTP/1.1"](relay.url));
  for (let left = 10; left > 0; left -= 1) await health.check({});
  expect(await Promise.race([ended, setImmediate("goes on")])).toBe("goes on");
});

test("Watch says it at once, and that the relay stops; of a service nobody knows it says that", async () => {
  const relay = await open();
  const health = createClient(Health, createGrpcTransport({ baseUrl: relay.url }));
  const watch = (service: string) => health.watch({ service })[Symbol.asyncIterator]();
  const [known, unknown] = [watch(""), watch("other.Service")];
  const next = async (iterator: AsyncIterator<HealthCheckResponse>) => (await iterator.next()).value?.status;
  expect([await next(known), await next(unknown)]).toEqual([ServingStatus.SERVING, ServingStatus.SERVICE_UNKNOWN]);
  expect(relay.proxy.counts.watchers).toBe(2);
  const last = next(known);
  relay.proxy.close();
  expect(await last).toBe(ServingStatus.NOT_SERVING);
  expect(await next(known)).toBeUndefined();
});

test("whoever hangs up watches no more, and only so many may", async () => {
  const relay = await open({ limits: { maxWatchers: 1 } });
  const health = createClient(Health, createGrpcTransport({ baseUrl: relay.url }));
  const abort = new AbortController();
  const first = health.watch({}, { signal: abort.signal })[Symbol.asyncIterator]();
  await first.next();
  await expect(health.watch({})[Symbol.asyncIterator]().next()).rejects.toMatchObject({
    code: Code.ResourceExhausted,
  });
  abort.abort();
  await expect(first.next()).rejects.toMatchObject({ code: Code.Canceled });
  await holdsNothing(relay);
});

test("with two prefixes the same relay is under both", async () => {
  const relay = await open({ prefix: ["/one", ""] });
  for (const base of [`${relay.origin}/one`, relay.origin]) {
    const health = createClient(Health, createGrpcTransport({ baseUrl: base }));
    expect(await health.check({})).toMatchObject({ status: ServingStatus.SERVING });
  }
  expect((await fetch(`${relay.origin}/two/grpc.health.v1.Health/Check`)).status).toBe(404);
});
