import { once } from "node:events";
import { createServer, request as requestPlain, type Server } from "node:http";
import { createServer as createHttp2Server, connect as http2Connect } from "node:http2";
import type { AddressInfo } from "node:net";
import { StreamServerProxy } from "browser-stream-server/server";
import { expect, test } from "vitest";
import type { NodeRequest, NodeResponse } from "../../../server/http/node-server.js";
import { FakeClock } from "../../fakes/fake-clock.js";

const path = "/browser-server/streamserver.v1.RelayService/List";
const headers = { "content-type": "application/json", "content-length": 100, origin: "https://a.example" };

/** Each begins a call, and returns what hangs up. */
const callers = {
  "HTTP/1.1": (origin: string) => {
    const call = requestPlain(origin + path, { method: "POST", headers }).on("error", () => {});
    call.write("{");
    return () => call.destroy();
  },
  "HTTP/2": (origin: string) => {
    const session = http2Connect(origin);
    const call = session.request({ ":method": "POST", ":path": path, ...headers }).on("error", () => {});
    call.write("{");
    return () => session.destroy();
  },
};

test("a leg that was reset, and is not destroyed yet, leaves nothing in the relay", async () => {
  const clock = new FakeClock();
  const proxy = StreamServerProxy({ clock });
  const server = createHttp2Server((request, response) => {
    response.stream.close();
    proxy.handler(request, response);
  });
  server.listen(0, "127.0.0.1");
  await once(server, "listening");
  const session = http2Connect(`http://127.0.0.1:${(server.address() as AddressInfo).port}`);
  const leg = session.request({
    ":method": "POST",
    ":path": "/browser-server/streamserver.v1.RelayService/Connect",
    "content-type": "application/grpc",
  });
  await once(leg.resume(), "close");
  session.close();
  server.close();
  proxy.close();
  expect(clock.timers).toBe(0);
});

test.each([
  ["HTTP/1.1", () => createServer()],
  ["HTTP/2", () => createHttp2Server() as unknown as Server],
] as const)(
  "a caller over %s that hung up before the handler's turn leaves nothing in the relay",
  async (kind, create) => {
    const clock = new FakeClock();
    const proxy = StreamServerProxy({ clock, origins: ["https://a.example"] });
    const server = create().listen(0, "127.0.0.1");
    await once(server, "listening");
    const called = once(server, "request");
    const hangUp = callers[kind](`http://127.0.0.1:${(server.address() as AddressInfo).port}`);
    const [request, response] = (await called) as [NodeRequest, NodeResponse];
    const closed = once(response, "close");
    hangUp();
    await closed;
    server.close();
    proxy.handler(request, response);
    // `close` sets a timer for the responses that the relay still holds, and there must be none.
    proxy.close();
    expect(clock.timers).toBe(0);
  },
);
