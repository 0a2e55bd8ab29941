import { once } from "node:events";
import { createServer as createHttp2Server } from "node:http2";
import { type AddressInfo, connect, createServer, type Server, type Socket } from "node:net";
import { ConnectError } from "@connectrpc/connect";
import { afterEach, beforeEach, describe, expect, test } from "vitest";
import { relayLostError } from "../../../../stream/error/failure-detail.js";
import { Http2Connections } from "../../../../web/node/http2-connections.js";
import { relayUrl } from "../../../../web/transport/relay-url.js";
import { FakeClock } from "../../../fakes/fake-clock.js";
import { rejection } from "../../../fakes/outcome.js";

/** A peer has this long to answer a PING. */
const answerTimeoutMs = 7_000;

let clock: FakeClock;
let connections: Http2Connections;
let http2Server: ReturnType<typeof createHttp2Server>;
let proxy: Server;
/** The sockets of the proxy, those of the client first. */
let sockets: [near: Socket, far: Socket][];

/** An HTTP/2 server behind a proxy that a test can stop. */
beforeEach(async () => {
  clock = new FakeClock();
  sockets = [];
  http2Server = createHttp2Server().on("stream", (stream) => stream.respond());
  http2Server.listen(0, "127.0.0.1");
  await once(http2Server, "listening");
  proxy = createServer((near) => {
    const far = connect((http2Server.address() as AddressInfo).port, "127.0.0.1");
    for (const socket of [near, far]) socket.on("error", () => {});
    near.pipe(far).pipe(near);
    near.once("close", () => far.destroy());
    sockets.push([near, far]);
  });
  proxy.listen(0, "127.0.0.1");
  await once(proxy, "listening");
  const url = relayUrl(`http://127.0.0.1:${(proxy.address() as AddressInfo).port}`, "/");
  connections = new Http2Connections({ url, clock, idleTimeoutMs: 60_000 });
});

afterEach(async () => {
  for (const socket of sockets.flat()) socket.destroy();
  await Promise.all([proxy, http2Server].map((server) => new Promise((resolve) => server.close(resolve))));
});

/** A call that goes on, once it is answered. */
async function callUnderWay() {
  const stream = await connections.request("POST", "/", {});
  stream.on("error", () => {});
  await once(stream, "response");
  return stream;
}

describe("Http2Connections.doubt", () => {
  test("gives up a connection that is being opened, with its error, and the next call opens another", async () => {
    proxy.once("connection", (near: Socket) => near.unpipe());
    const first = rejection(connections.request("POST", "/", {}));
    await once(proxy, "connection");
    connections.doubt(relayLostError("no answer"));
    expect(ConnectError.from(await first).message).toContain("no answer");
    expect((await callUnderWay()).destroyed).toBe(false);
  });

  test("ends a connection whose peer does not answer in time, however often it is doubted", async () => {
    const stream = await callUnderWay();
    for (const [near] of sockets) near.unpipe().pause();
    const closed = new Promise((resolve) => stream.once("close", resolve));
    for (let waitedMs = 0; waitedMs < answerTimeoutMs; waitedMs += 1_000) {
      expect(stream.destroyed).toBe(false);
      connections.doubt(relayLostError("no answer"));
      clock.advance(1_000);
    }
    expect(stream.destroyed).toBe(true);
    await closed;
  });

  test("keeps a connection whose peer answers, and asks it again later", async () => {
    const stream = await callUnderWay();
    connections.doubt(relayLostError("no answer"));
    // The answer to the PING comes before that to another call.
    await callUnderWay();
    clock.advance(answerTimeoutMs);
    expect(stream.destroyed).toBe(false);
    for (const [near] of sockets) near.unpipe().pause();
    connections.doubt(relayLostError("no answer"));
    clock.advance(answerTimeoutMs);
    expect(stream.destroyed).toBe(true);
  });
});
