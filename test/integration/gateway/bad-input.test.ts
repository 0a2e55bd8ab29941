import { once } from "node:events";
import { mkdtemp, rm } from "node:fs/promises";
import { createServer } from "node:http";
import { connect as connectHttp2, constants } from "node:http2";
import { type AddressInfo, connect } from "node:net";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { create, toBinary } from "@bufbuild/protobuf";
import { Code, Failure, StreamError, StreamServer } from "browser-stream-server";
import { type HttpHandler, serve, trailersOf } from "browser-stream-server/http";
import type { StreamServerProxyOptions } from "browser-stream-server/server";
import { afterEach, describe, expect, test } from "vitest";
import {
  ChannelResponseSchema,
  HeaderSchema,
  LinkMessageSchema,
  LinkOpenedSchema,
} from "../../../gen/streamserver/v1/link_pb.js";
import { linkCodec, serveLink } from "../../../http/link/stream-link.js";
import type { Channel } from "../../../link/channel/channel.js";
import { relayOf } from "../../../server/stream-server-proxy.js";
import type { StreamErrorOptions } from "../../../stream/error/stream-error.js";
import { holdsNothing, openRelay, type TestRelay } from "../relay-ports.js";
import { standstill, until } from "../until.js";
import { type Http2Fetch, openHttp2Fetch } from "./http2-fetch.js";
import { exchange, head } from "./raw-http.js";

let relay: TestRelay;
const ends: (() => Promise<unknown>)[] = [];

async function opened(options: StreamServerProxyOptions = {}): Promise<void> {
  relay = await openRelay({ gateway: { by: "path" }, ...options });
}

afterEach(async () => {
  for (const end of ends.splice(0)) await end();
  await holdsNothing(relay, "links");
  await relay.close();
});

async function serving(name: string, handler: HttpHandler): Promise<void> {
  const server = serve(relay.origin, name, handler, { onError: () => {} });
  ends.push(() => server.end());
  await server.ready;
}

/** Takes a channel of which the listener hears nothing but how it ends. */
function onClosed(channel: Channel, act: (error: StreamError | undefined) => void): void {
  channel.use({ onData() {}, onEnd() {}, onDrain() {}, onClosed: act });
}

/** A listener that speaks the protocol by hand, and so may break its rules. */
async function answering(name: string, onRequest: (channel: Channel) => void): Promise<void> {
  const server = StreamServer(relay.origin, { codec: linkCodec }, (stream) => {
    stream.on("error", () => {});
    // The gateway keeps it for its next call.
    ends.unshift(async () => stream.destroy());
    serveLink(stream, { maxCalls: 8, onRequest });
  }).listen(name);
  ends.push(() => server.end());
  await server.ready;
}

const ask = (bytes: string, isDone?: (text: string) => boolean) => exchange(relay.origin, bytes, isDone);

/** A caller by HTTP/2. */
function http2(): Http2Fetch {
  const caller = openHttp2Fetch(relay.origin);
  ends.unshift(() => caller.close());
  return caller;
}

const errorIn = (text: string) => /^stream-error: (.*)\r$/m.exec(text)?.[1];
const bodyOf = (text: string) => text.slice(text.indexOf("\r\n\r\n") + 4);

describe("a request to the gateway", () => {
  test.each([
    ["with segments of dots", "/~/a/../b"],
    ["with encoded dots", "/~/a/%2e%2E/b"],
    ["with dots for a name", "/~/../browser-server/streamserver.v1.RelayService/List"],
    ["with encoded dots for a name", "/~/%2e./x"],
    ["with backslashes", "/~/a\\..\\b"],
    ["with a name that is no UTF-8", "/~/%ff/"],
    ["with a broken encoding", "/~/%zz/"],
    ["without a name", "/~//x"],
    ["with a fragment", "/~/a/#b"],
    ["for an absolute URL of another host", "http://other.example/~/a/"],
  ])("%s is answered with 400, and nobody is asked", async (_, target) => {
    await opened();
    await serving("a", () => new Response("asked"));
    const { statuses, text } = await ask(head("GET", target));
    expect([statuses, text.includes("asked")]).toEqual([[400], false]);
  });

  test.each([
    ["with an encoded slash", "/~/a/b%2F..%2Fc", "/b%2F..%2Fc"],
    ["that is encoded twice", "/~/a/%252e%252e/c", "/%252e%252e/c"],
    ["with empty segments", "/~/a//b//", "//b//"],
    ["for an absolute URL of its host", "http://relay.example/~/a/x?y", "/x?y"],
  ])("%s has its path as it came", async (_, target, path) => {
    await opened();
    await serving("a", (request) => new Response(request.url.slice("http://relay.example".length)));
    const { statuses, text } = await ask(head("GET", target));
    expect([statuses, text.endsWith(`\r\n${path}\r\n0\r\n\r\n`)]).toEqual([[200], true]);
  });

  const smuggled = "GET /~/a/smuggled HTTP/1.1\r\nHost: relay.example\r\n\r\n";
  test.each([
    ["a length and chunks", ["Content-Length: 4", "Transfer-Encoding: chunked"]],
    ["two lengths", ["Content-Length: 0", `Content-Length: ${smuggled.length}`]],
    ["chunks of another name", ["Transfer-Encoding: xchunked"]],
    ["chunks behind a space", ["Transfer-Encoding : chunked"]],
    ["a length with a sign", ["Content-Length: +0"]],
  ])("with %s is refused with its connection, and no other is made of its body", async (_, headers) => {
    await opened();
    const paths: string[] = [];
    await serving("a", (request) => {
      paths.push(new URL(request.url).pathname);
      return new Response("");
    });
    const request = head("POST", "/~/a/first", headers).replace("Connection: close\r\n", "");
    const { statuses } = await ask(`${request}0\r\n\r\n${smuggled}`);
    expect([statuses, paths.filter((path) => path === "/smuggled")]).toEqual([[400], []]);
  });

  test("with 100 KB of headers is answered with 431", async () => {
    await opened();
    expect((await ask(head("GET", "/~/a/", [`X-Long: ${"x".repeat(100_000)}`]))).statuses).toEqual([431]);
  });

  test("for another host than the relay's is answered with 403 where it may be a page's", async () => {
    await opened({ hosts: ["relay.example"] });
    await serving("a", () => new Response("asked"));
    const get = head("GET", "/~/a/", [], "rebound.example");
    expect((await ask(get)).statuses).toEqual([403]);
    expect((await ask(head("GET", "/~/a/"))).statuses).toEqual([200]);
  });

  test("for an upgrade to something else is a request like others", async () => {
    await opened();
    await serving("a", (request) => new Response(String(request.headers.get("upgrade"))));
    const upgrade = ["Upgrade: h2c", "HTTP2-Settings: AAMAAABkAARAAAAAAAIAAAAA"];
    const request = head("GET", "/~/a/", upgrade).replace("Connection: close", "Connection: Upgrade, HTTP2-Settings");
    const { statuses, text } = await ask(request, (answer) => answer.endsWith("0\r\n\r\n"));
    expect([statuses, text.includes("\r\nnull\r\n")]).toEqual([[200], true]);
  });

  test("with a method that shows headers is answered with 501, before anybody is looked for", async () => {
    await opened();
    expect((await ask(head("TRACE", "/~/nobody/"))).statuses).toEqual([501]);
  });

  test.each(["trace", "Connect"])("with the method %s over HTTP/2 is answered with 501 as well", async (method) => {
    await opened();
    const { origin } = relay;
    expect((await http2().fetch(`${origin}/~/nobody/`, { method })).status).toBe(501);
  });

  test("with two hosts is answered with 400, because a proxy in front may go by the other one", async () => {
    await opened();
    await serving("a", () => new Response("asked"));
    expect((await ask(head("GET", "/~/a/", ["host: other.example"]))).statuses).toEqual([400]);
  });

  test.each(["a.relay.example:99:1", "a.relay.example:x", "a.relay.example/x", "a@a.relay.example"])(
    "for a name by the malformed host %s is answered with 400, and does not reach the relay's own paths",
    async (host) => {
      await opened({ gateway: { by: "host", host: "relay.example" } });
      expect((await ask(head("GET", "/healthz", [], host))).statuses).toEqual([400]);
    },
  );

  test("by a malformed host is answered with 400 by path as well", async () => {
    await opened();
    await serving("a", () => new Response("asked"));
    const statusOf = async (host: string) => (await ask(head("GET", "/~/a/", [], host))).statuses[0];
    expect(await Promise.all(["relay.example:99:1", "::1:80", "[::1]:80"].map(statusOf))).toEqual([400, 400, 200]);
  });

  test("for a WebSocket that is refused may be reset before its answer", async () => {
    await opened();
    const { hostname, port } = new URL(relay.origin);
    const upgrade = head("GET", "/~/%ff/", ["Upgrade: websocket"]).replace("close", "Upgrade");
    for (let times = 0; times < 10; times += 1) {
      const socket = connect(Number(port), hostname);
      await new Promise((resolve) => socket.once("connect", resolve));
      socket.write(upgrade);
      // The relay reads it in the turn in which it finds the connection reset.
      await new Promise((resolve) => setImmediate(resolve));
      socket.resetAndDestroy();
    }
    // The relay is there to answer this one.
    expect((await ask(upgrade)).statuses).toEqual([400]);
  });

  test.each([
    ["that is refused", "/~/%ff/"],
    ["of a name that nobody has", "/~/nobody/"],
    ["that a listener takes", "/~/a/"],
    ["of a link", "/browser-server/streamserver.v1.LinkService/WebSocket"],
  ])("for a WebSocket %s ends the connection if an answer before it is not sent", async (_, target) => {
    await opened();
    await serving("silent", () => new Promise(() => {}));
    await serving("a", () => new Response("asked"));
    const upgrade = ["Upgrade: websocket", "Sec-WebSocket-Version: 13", `Sec-WebSocket-Key: ${"A".repeat(22)}==`];
    const keepAlive = head("GET", "/~/silent/").replace("Connection: close\r\n", "");
    const { text, end } = await ask(keepAlive + head("GET", target, upgrade).replace("close", "Upgrade"));
    expect([text, end]).toEqual(["", "ended"]);
  });

  test("without the slash behind the name is led there, whatever the name", async () => {
    await opened();
    const { statuses, text } = await ask(head("GET", "/~/a:b%2F?x=1"));
    expect([statuses, /^location: (.*)\r$/m.exec(text)?.[1]]).toEqual([[308], "./a:b%2F/?x=1"]);
  });

  test("with more than a body may have is answered with 413, by its length or as it comes", async () => {
    await opened({ limits: { maxGatewayBodyBytes: 5 } });
    let served = 0;
    await serving("a", async (request) => {
      served += 1;
      return new Response(await request.text());
    });
    // The listener hears nothing of a request that says itself that it is too large, and no byte of it is waited for.
    expect((await ask(head("POST", "/~/a/", ["Content-Length: 6"]))).statuses).toEqual([413]);
    expect(served).toBe(0);
    expect((await ask(`${head("POST", "/~/a/", ["Content-Length: 5"])}12345`)).text).toContain("12345");
    const chunked = ["Transfer-Encoding: chunked"];
    expect((await ask(`${head("POST", "/~/a/", chunked)}6\r\n123456\r\n0\r\n\r\n`)).statuses).toEqual([413]);
    expect((await ask(`${head("POST", "/~/a/", chunked)}5\r\n12345\r\n0\r\n\r\n`)).text).toContain("12345");
  });

  test("that waits for 100 Continue gets it when the listener has the request, or else the answer alone", async () => {
    await opened();
    await serving("a", async (request) => new Response(`${request.headers.get("expect")} ${await request.text()}`));
    const expecting = ["Content-Length: 5", "Expect: 100-continue"];
    const { statuses } = await ask(head("POST", "/~/a/", expecting), (text) => text.includes("\r\n\r\n"));
    expect(statuses).toEqual([100]);
    const whole = await ask(`${head("POST", "/~/a/", expecting)}12345`);
    expect([whole.statuses, whole.text.includes("null 12345")]).toEqual([[100, 200], true]);
    const keepAlive = head("POST", "/~/nobody/", expecting).replace("Connection: close\r\n", "");
    const refused = await ask(keepAlive);
    const saysSo = /^connection: close\r$/im.test(refused.text);
    expect([refused.statuses, saysSo, refused.end]).toEqual([[503], true, "ended"]);
  });
});

describe("a listener", () => {
  const respond = (channel: Channel, status: number, headers: readonly [string, string][]) =>
    channel.respond(
      create(ChannelResponseSchema, { status, headers: headers.map(([name, value]) => ({ name, value })) }),
    );

  test.each<[string, number, [string, string][]]>([
    ["a header with a newline", 200, [["x-a", "1\r\nset-cookie: a=1"]]],
    ["a header with a null", 200, [["x-a", "1\0"]]],
    ["a header whose name is none", 200, [["x a", "1"]]],
    ["a pseudo-header", 200, [[":status", "404"]]],
    [
      "two lengths",
      200,
      [
        ["content-length", "1"],
        ["content-length", "2"],
      ],
    ],
    ["a length that is none", 200, [["content-length", "-1"]]],
    ["the status of an upgrade", 101, []],
    ["a status that is none", 99, []],
  ])("that sends %s is answered for with 502", async (_, status, headers) => {
    await opened();
    await answering("a", (channel) => {
      respond(channel, status, headers);
      channel.end();
    });
    const { statuses, text } = await ask(head("GET", "/~/a/"));
    expect([statuses, errorIn(text)]).toEqual([[502], "failure=protocol_violation, hop=peer, code=invalid_argument"]);
    expect(text).not.toContain("set-cookie");
  });

  test.each<[string, [string, string][]]>([
    [
      "two tags",
      [
        ["etag", "1"],
        ["etag", "2"],
      ],
    ],
    [
      "two types",
      [
        ["content-type", "a"],
        ["content-type", "b"],
      ],
    ],
  ])("that sends %s is answered for with 502 over HTTP/2", async (_, headers) => {
    await opened();
    await answering("a", (channel) => {
      respond(channel, 200, headers);
      channel.end();
    });
    const { status } = await http2().fetch(`${relay.origin}/~/a/`);
    expect(status).toBe(502);
  });

  test("that sends trailers which HTTP does not know, or of a connection, has the others passed on", async () => {
    await opened();
    const trailers: [string, string][] = [
      ["x-a", "1\x01"],
      ["http2-settings", "AAMAAABk"],
      ["x-b", "2"],
    ];
    await answering("a", (channel) => {
      respond(channel, 200, []);
      channel.write(new TextEncoder().encode("x"));
      channel.end(trailers.map(([name, value]) => create(HeaderSchema, { name, value })));
    });
    const { text } = await ask(head("GET", "/~/a/"));
    expect(text.slice(text.indexOf("\r\n0\r\n"))).toBe("\r\n0\r\nx-b: 2\r\n\r\n");
    const response = await http2().fetch(`${relay.origin}/~/a/`);
    await response.text();
    expect([...(await trailersOf(response))]).toEqual([["x-b", "2"]]);
  });

  test.each([
    ["a name that is none", "x a", ""],
    ["more bytes than a head has", "x-a", "x".repeat(20_000)],
  ])("that sends a trailer with %s is told as the one that failed", async (_, name, value) => {
    await opened();
    await answering("a", (channel) => {
      respond(channel, 200, []);
      channel.end([create(HeaderSchema, { name, value })]);
    });
    const { statuses, text } = await ask(head("GET", "/~/a/"));
    expect([statuses, errorIn(text)]).toEqual([[502], "failure=protocol_violation, hop=peer, code=invalid_argument"]);
  });

  test("has the text of its status, whatever middleware has set", async () => {
    await opened();
    await serving("a", () => new Response("", { status: 201 }));
    const server = createServer((request, response) => {
      response.statusMessage = "\u2603";
      relay.proxy.handler(request, response);
    }).listen(0, "127.0.0.1");
    ends.push(async () => {
      server.close().closeAllConnections();
      await once(server, "close");
    });
    await once(server, "listening");
    const origin = `http://127.0.0.1:${(server.address() as AddressInfo).port}`;
    const answers = ["/~/a/", "/~/nobody/"].map((path) => exchange(origin, head("GET", path)));
    expect((await Promise.all(answers)).map(({ text }) => text.split("\r\n", 1)[0])).toEqual([
      "HTTP/1.1 201 Created",
      "HTTP/1.1 503 Service Unavailable",
    ]);
  });

  test("that announces trailers is passed on where no trailers can follow, without the announcement", async () => {
    await opened();
    await answering("a", (channel) => {
      respond(channel, 200, [
        ["trailer", "x-b"],
        ["content-length", "1"],
      ]);
      channel.write(new TextEncoder().encode("x"));
      channel.end();
    });
    const old = "GET /~/a/ HTTP/1.0\r\nHost: relay.example\r\n\r\n";
    for (const request of [head("GET", "/~/a/"), head("HEAD", "/~/a/"), old]) {
      const { statuses, text } = await ask(request);
      expect([statuses, /^trailer:/im.test(text)]).toEqual([[200], false]);
    }
  });

  test.each([
    ["longer", 5],
    ["shorter", 7],
  ])("whose body is %s than it says is cut off, and adds no byte to the next answer", async (_, length) => {
    await opened();
    await answering("a", (channel) => {
      respond(channel, 200, [["content-length", String(length)]]);
      // In a later turn, so that the head has gone out. A body that is too long is one before it has ended.
      setTimeout(() => {
        channel.write(new TextEncoder().encode("123456"));
        if (length > 6) channel.end();
      }, 20);
    });
    const request = head("GET", "/~/a/").replace("Connection: close\r\n", "");
    const { statuses, text } = await ask(request + request);
    expect([statuses, bodyOf(text).length < length]).toEqual([[200], true]);
  });

  test("that fails behind the head has its answer cut off, by a reset where nothing else would tell", async () => {
    await opened();
    await answering("a", (channel) => {
      respond(channel, 200, []);
      channel.write(new TextEncoder().encode("begun"));
      setTimeout(() => channel.reset(new Error("no") as never), 20);
    });
    const chunked = await ask(head("GET", "/~/a/"));
    expect([chunked.statuses, chunked.text.includes("begun"), chunked.text.endsWith("0\r\n\r\n")]).toEqual([
      [200],
      true,
      false,
    ]);
    const old = await ask("GET /~/a/ HTTP/1.0\r\nHost: relay.example\r\n\r\n");
    expect(old.end).toBe("reset");
  });

  test.each<[StreamErrorOptions, number, string | undefined]>([
    [{ failure: Failure.LIMIT_REACHED, code: Code.ResourceExhausted }, 503, "2"],
    [{ code: Code.ResourceExhausted }, 503, "2"],
    [{ failure: Failure.DRAINING }, 503, "2"],
    // A size that the relay and the listener have found between each other is none of the request's.
    [{ failure: Failure.MESSAGE_TOO_LARGE }, 502, undefined],
    [{ code: Code.Unimplemented }, 502, undefined],
    [{ code: Code.Internal }, 502, undefined],
  ])("that resets a call with %o before its answer is answered for with %i", async (init, status, retryAfter) => {
    await opened();
    await answering("a", (channel) => channel.reset(new StreamError("<b>words</b>", init)));
    const { statuses, text } = await ask(head("GET", "/~/a/"));
    expect([statuses, /^retry-after: (.*)\r$/im.exec(text)?.[1]]).toEqual([[status], retryAfter]);
    expect(errorIn(text)).toMatch(/^failure=\w+, hop=peer, code=\w+$/);
    // The words of a listener are a stranger's.
    expect(text).not.toContain("words");
  });

  test("that fails behind the head has its answer cut off where the connection is none of TCP, too", async () => {
    await opened();
    await answering("a", (channel) => {
      respond(channel, 200, []);
      setTimeout(() => channel.reset(new Error("no") as never), 20);
    });
    const directory = await mkdtemp(join(tmpdir(), "gateway-"));
    const path = join(directory, "socket");
    const server = createServer();
    relay.proxy.install(server);
    server.listen(path);
    await once(server, "listening");
    const socket = connect(path);
    socket.write("GET /~/a/ HTTP/1.0\r\nHost: relay.example\r\n\r\n");
    socket.resume();
    await once(socket, "close");
    await new Promise((resolve) => server.close(resolve));
    await rm(directory, { recursive: true });
    expect((await ask(head("GET", "/~/nobody/"))).statuses).toEqual([503]);
  });

  test("that sends a head of almost 64 KiB is answered for with 502, and other calls of the connection go on", async () => {
    await opened();
    await answering("a", (channel) => {
      respond(channel, 200, [["x-a", "x".repeat(65_450)]]);
      channel.end();
    });
    await serving("b", () => new Response("other"));
    const { fetch } = http2();
    expect((await fetch(`${relay.origin}/~/a/`)).status).toBe(502);
    expect(await (await fetch(`${relay.origin}/~/b/`)).text()).toBe("other");
  });

  test.each([
    ["HEAD", 200],
    ["GET", 204],
    ["GET", 304],
  ])("that goes on behind an answer to %s with %i, which has no body, is not waited for", async (method, status) => {
    await opened();
    let isReset = false;
    await answering("a", (channel) => {
      onClosed(channel, () => {
        isReset = true;
      });
      respond(channel, status, []);
      channel.write(new Uint8Array(1));
    });
    expect((await ask(head(method, "/~/a/"))).statuses).toEqual([status]);
    await until(
      () => isReset,
      () => "the call goes on",
    );
  });

  test.each([
    ["no call", { maxChannels: 0, maxPacketBytes: 1_024, maxBatchBytes: 1_024 }],
    ["packets of a byte", { maxChannels: 1, maxPacketBytes: 1, maxBatchBytes: 1_024 }],
    ["messages of nothing", { maxChannels: 1, maxPacketBytes: 1_024, maxBatchBytes: 0 }],
  ])("that takes %s is no HTTP server", async (_, limits) => {
    await opened();
    let streams = 0;
    const server = StreamServer(relay.origin, { codec: linkCodec }, (stream) => {
      streams += 1;
      stream.on("error", () => {});
      const opened = create(LinkOpenedSchema, limits);
      stream.write(toBinary(LinkMessageSchema, create(LinkMessageSchema, { opened })));
    }).listen("a");
    ends.push(() => server.end());
    await server.ready;
    const { statuses, text } = await ask(`${head("POST", "/~/a/", ["Content-Length: 3"])}abc`);
    expect([statuses, errorIn(text), streams]).toEqual([[502], "failure=unspecified, hop=peer, code=unimplemented", 1]);
  });

  test("that answers before it has read the request lets the next one on the connection come", async () => {
    await opened();
    await answering("a", (channel) => {
      respond(channel, 200, [["content-length", "0"]]);
      // The first upload has stopped where its bytes wait in the relay. The request after it has none.
      const { heldBytes } = relayOf(relay.proxy).admission;
      void standstill(() => heldBytes.bytes).then(() => channel.end());
    });
    const upload = head("POST", "/~/a/", ["Content-Length: 4000000"]).replace("Connection: close\r\n", "");
    const { statuses } = await ask(upload + "x".repeat(4_000_000) + head("GET", "/~/a/"));
    expect(statuses).toEqual([200, 200]);
  });

  test("that does not read hears of a caller by HTTP/2 that resets its call without an error", async () => {
    await opened();
    const session = connectHttp2(relay.origin).on("error", () => {});
    ends.unshift(async () => session.destroy());
    let error: unknown;
    await answering("a", (channel) => {
      channel.pause();
      onClosed(channel, (reason) => {
        error = reason;
      });
    });
    const { admission } = relayOf(relay.proxy);
    const call = session.request({ ":method": "POST", ":path": "/~/a/", "content-type": "application/grpc" });
    call.on("error", () => {}).write(new Uint8Array(900_000));
    // The listener has the request by then, and the relay has more of its body than the listener takes.
    await until(() => admission.heldBytes.bytes > 400_000);
    call.close(constants.NGHTTP2_NO_ERROR);
    await until(
      () => admission.count("gateway call") === 0,
      () => "the call goes on",
    );
    await until(
      () => admission.heldBytes.bytes === 0 && error !== undefined,
      () => `${admission.heldBytes.bytes} wait`,
    );
    expect(error).toMatchObject({ code: Code.Canceled });
  });

  test("that never answers is answered for with 504", async () => {
    await opened({ limits: { gatewayTimeoutMs: 50 } });
    let isReset = false;
    await answering("a", (channel) => {
      onClosed(channel, () => {
        isReset = true;
      });
    });
    const { statuses, text } = await ask(head("GET", "/~/a/"));
    expect([statuses, errorIn(text)]).toEqual([[504], "failure=unspecified, hop=peer, code=deadline_exceeded"]);
    await until(
      () => isReset,
      () => "the call goes on",
    );
  });

  test("hears at once of a caller that has gone", async () => {
    await opened();
    let aborted = false;
    await serving("a", ({ signal }) => {
      signal.addEventListener("abort", () => {
        aborted = true;
      });
      return new Response(new ReadableStream({ start: (controller) => controller.enqueue(new Uint8Array(1)) }));
    });
    await ask(head("GET", "/~/a/"), (text) => text.includes("\r\n\r\n"));
    await until(
      () => aborted,
      () => "the call goes on",
    );
  });
});
