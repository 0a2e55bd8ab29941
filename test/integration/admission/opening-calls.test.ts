import { once } from "node:events";
import {
  type ClientHttp2Session,
  type ClientHttp2Stream,
  connect,
  constants,
  createServer,
  type Http2Server,
} from "node:http2";
import type { AddressInfo } from "node:net";
import { create, toBinary } from "@bufbuild/protobuf";
import { createClient } from "@connectrpc/connect";
import { createConnectTransport } from "@connectrpc/connect-node";
import { Code, Failure } from "browser-stream-server";
import { ConnectRequestSchema, RelayService } from "browser-stream-server/gen";
import { afterEach, describe, expect, test } from "vitest";
import { ServerReflectionRequestSchema } from "../../../gen/grpc/reflection/v1/reflection_pb.js";
import { idleTimeoutMs } from "../../../http/service/reflection-routes.js";
import { envelope } from "../../../leg/envelope.js";
import type { RelayLimits } from "../../../server/admission/limits.js";
import { answerTimeoutMs, closeTimeoutMs } from "../../../server/http/open-responses.js";
import { relayOf, StreamServerProxy } from "../../../server/stream-server-proxy.js";
import { FakeClock } from "../../fakes/fake-clock.js";
import { RawLeg, refusal, refused } from "../raw-calls.js";
import { until } from "../until.js";

const full = refusal(Code.ResourceExhausted, Failure.LIMIT_REACHED);
const relayService = "streamserver.v1.RelayService";
/** As many refused calls are told why at once. */
const maxToldRefusals = 500;
const listServices = { messageRequest: { case: "listServices" as const, value: "" } };

let clock: FakeClock;
let proxy: StreamServerProxy;
let server: Http2Server;
const sessions: ClientHttp2Session[] = [];

/** The caller gives the relay so much room for the answer of each call. */
async function open(limits: Partial<RelayLimits>, initialWindowSize = 0) {
  clock = new FakeClock();
  server = createServer();
  proxy = StreamServerProxy({ clock, limits, prefix: "" }).install(server);
  await once(server.listen(0, "127.0.0.1"), "listening");
  const origin = `http://127.0.0.1:${(server.address() as AddressInfo).port}`;
  const session = connect(origin, { settings: { initialWindowSize } });
  sessions.push(session);
  await once(session, "remoteSettings");
  const silent = (path: string, type = "application/connect+proto") =>
    session.request({ ":method": "POST", ":path": `/${path}`, "content-type": type }, { endStream: false });
  const client = createClient(RelayService, createConnectTransport({ baseUrl: origin, httpVersion: "2" }));
  return { session, client, silent };
}

const opening = () => relayOf(proxy).admission.count("opening call");

afterEach(async () => {
  proxy.close();
  for (const session of sessions.splice(0)) session.destroy();
  await new Promise((resolve) => server.close(resolve));
});

describe("maxOpeningCalls", () => {
  const kinds: [call: string, path: string, type: string][] = [
    ["Connect", `${relayService}/Connect`, "application/connect+proto"],
    ["Connect in JSON", `${relayService}/Connect`, "application/connect+json"],
    ["Accept", `${relayService}/Accept`, "application/grpc"],
    ["Listen", `${relayService}/Listen`, "application/connect+proto"],
    ["List", `${relayService}/List`, "application/proto"],
    ["Watch", `${relayService}/Watch`, "application/grpc"],
    ["Receive", "streamserver.v1.LinkService/Receive", "application/connect+proto"],
    ["Send", "streamserver.v1.LinkService/Send", "application/json"],
    ["a watch of the health", "grpc.health.v1.Health/Watch", "application/grpc"],
  ];

  test("tells of a file that is refused, without a word for its caller", async () => {
    const { session, silent } = await open({ maxOpeningCalls: 1 });
    silent(`${relayService}/List`, "application/proto").on("error", () => {});
    await until(() => opening() === 1);
    const events: unknown[] = [];
    relayOf(proxy).events.observe((event) => events.push(event));
    const file = session.request({ ":path": "/client.js" }).on("error", () => {});
    await new Promise((resolve) => file.once("close", resolve));
    expect(events).toMatchObject([{ kind: "refused", call: "file", error: { limit: { name: "maxOpeningCalls" } } }]);
  });

  test.each(kinds)("counts %s that says nothing, until it is over", async (_call, path, type) => {
    const { client, silent } = await open({ maxOpeningCalls: 1 });
    const call = silent(path, type).on("error", () => {});
    await until(() => opening() === 1);
    expect(await refused(client.list({}))).toEqual(full);
    call.close();
    await until(() => opening() === 0);
    expect(await client.list({})).toMatchObject({ names: [] });
  });

  test("counts no call that holds a name, a leg or a watch", async () => {
    const { client } = await open({ maxOpeningCalls: 1 });
    const listen = client.listen({ name: "room" })[Symbol.asyncIterator]();
    await listen.next();
    const watch = client.watch({})[Symbol.asyncIterator]();
    await watch.next();
    const leg = new RawLeg(client, "connect", { case: "open", value: { name: "room" } });
    await listen.next();
    expect(opening()).toBe(0);
    expect(await client.list({})).toMatchObject({ names: [] });
    leg.cancel();
    await Promise.all([listen.return?.(), watch.return?.()]);
  });

  test("tells so many callers why, and ends the streams of others", async () => {
    const { silent } = await open({ maxOpeningCalls: 1 });
    const codes: (number | undefined)[] = [];
    const calls: ClientHttp2Stream[] = [];
    for (let number = 0; number <= maxToldRefusals + 2; number += 1) {
      const call = silent(`${relayService}/Listen`).on("error", () => {});
      call.once("close", () => codes.push(call.rstCode));
      calls.push(call);
    }
    await until(() => codes.length === 2);
    expect(codes).toEqual([constants.NGHTTP2_REFUSED_STREAM, constants.NGHTTP2_REFUSED_STREAM]);
    for (const call of calls) call.close();
    await until(() => opening() === 0);
  });
});

describe("An answer that nobody reads", () => {
  test.each([
    ["of a Connect that was late", `${relayService}/Connect`, "application/connect+proto", closeTimeoutMs],
    ["of a Connect in JSON that was late", `${relayService}/Connect`, "application/connect+json", closeTimeoutMs],
  ])("%s is dropped", async (_what, path, type, timeoutMs) => {
    const { silent } = await open({});
    const call = silent(path, type).on("error", () => {});
    await until(() => opening() === 1);
    clock.advance(proxy.limits.openTimeoutMs);
    // The relay's end of the call waits for its reader.
    await until(() => clock.timers > 0);
    clock.advance(timeoutMs - 1);
    expect(opening()).toBe(1);
    clock.advance(1);
    await until(() => opening() === 0);
    call.close();
  });

  test("of a List, or of the client's file, is dropped", async () => {
    const { silent, session } = await open({});
    const calls = [silent(`${relayService}/List`, "application/json"), session.request({ ":path": "/client.js" })];
    for (const call of calls) call.on("error", () => {});
    calls[0]?.end("{}");
    await Promise.all(calls.map((call) => once(call, "response")));
    expect(opening()).toBe(2);
    clock.advance(answerTimeoutMs);
    await until(() => opening() === 0);
  });
});

describe("A call whose caller keeps its request open", () => {
  const reflectionPath = "grpc.reflection.v1.ServerReflection/ServerReflectionInfo";
  const asked = toBinary(ServerReflectionRequestSchema, create(ServerReflectionRequestSchema, listServices));
  const counted = () => relayOf(proxy).admission.count("reflection call");

  test("of the reflection service is cut off a while after its last question", async () => {
    const { silent } = await open({}, 65_535);
    const call = silent(reflectionPath, "application/grpc").on("error", () => {});
    call.write(envelope(0, asked));
    await once(call, "data");
    clock.advance(idleTimeoutMs);
    await once(call.resume(), "end");
    clock.advance(closeTimeoutMs - 1);
    expect(counted()).toBe(1);
    clock.advance(1);
    await until(() => counted() === 0);
  });

  test("of the reflection service, and reads nothing, is cut off a while after its last question", async () => {
    const { silent } = await open({});
    const call = silent(reflectionPath, "application/grpc").on("error", () => {});
    for (let question = 0; question < 1_000; question += 1) call.write(envelope(0, asked));
    await once(call, "response");
    await until(() => {
      clock.advance(idleTimeoutMs);
      return counted() === 0;
    });
    call.close();
  });

  test("is cut off a while after its leg has ended", async () => {
    const { silent, client } = await open({}, 65_535);
    const listen = client.listen({ name: "room" })[Symbol.asyncIterator]();
    await listen.next();
    const call = silent(`${relayService}/Connect`).on("error", () => {});
    const message = { case: "open" as const, value: { name: "room" } };
    call.write(envelope(0, toBinary(ConnectRequestSchema, create(ConnectRequestSchema, { message }))));
    const { value } = await listen.next();
    if (value?.event.case !== "offer") throw new Error("no offer came");
    const { streamId, legToken } = value.event.value;
    await client.reject({ streamId, legToken, code: Code.NotFound });
    await once(call.resume(), "end");
    const calls = () => relayOf(proxy).admission.count("call");
    expect(calls()).toBe(2);
    clock.advance(answerTimeoutMs);
    await until(() => calls() === 1);
    await listen.return?.();
  });
});

test("A head that is larger than one of HTTP/1.1 may be is refused with 431", async () => {
  const { session } = await open({});
  const headers = Object.fromEntries(Array.from({ length: 5 }, (_, at) => [`x-large-${at}`, "x".repeat(4_000)]));
  const call = session.request({ ":method": "POST", ":path": `/${relayService}/List`, ...headers });
  const [response] = await once(call, "response");
  expect(response[":status"]).toBe(431);
  expect(opening()).toBe(0);
});
