import { once } from "node:events";
import { get } from "node:http";
import { get as getOverTls } from "node:https";
import { create, toBinary } from "@bufbuild/protobuf";
import { Code, createClient } from "@connectrpc/connect";
import { createWebSocketTransport, Failure } from "browser-stream-server";
import { LinkMessageSchema, RelayService } from "browser-stream-server/gen";
import { afterAll, afterEach, beforeAll, beforeEach, describe, expect, test } from "vitest";
import { channelWindowBytes } from "../../../link/channel/channel-inbox.js";
import { linkProtocol, linkSocketPath } from "../../../link/packet/link-message.js";
import { openBystander } from "../bystander.js";
import { credit, data, end, opening, type PacketInit, RawLink, socketFrame } from "../raw-link.js";
import { holdsNothing, openRelay, selfSigned, type TestRelay, untilLinks } from "../relay-ports.js";

const socketPath = `/browser-server${linkSocketPath}`;
const maxChannels = 8;
/** The limit counts the bystander's link, too. */
const maxLinks = 2;
const maxPacketBytes = 212_992;
const maxBatchBytes = 212_992;

let relay: TestRelay;
let bystander: Awaited<ReturnType<typeof openBystander>>;

beforeAll(async () => {
  relay = await openRelay({
    origins: ["https://allowed.example"],
    limits: { maxLinks, maxChannelsPerLink: maxChannels },
  });
});

beforeEach(async () => {
  bystander = await openBystander(relay);
});

afterEach(async () => {
  await bystander.expectUndisturbed();
  await holdsNothing(relay);
});

afterAll(() => relay.close());

/** The status with which a request for a WebSocket is answered; 101 if it is granted. */
async function answerTo(at: TestRelay, headers: Record<string, string> = {}, path = socketPath): Promise<number> {
  const asked = (at.origin.startsWith("https:") ? getOverTls : get)(at.origin + path, {
    rejectUnauthorized: false,
    headers: {
      connection: "Upgrade",
      upgrade: "websocket",
      "sec-websocket-version": "13",
      "sec-websocket-key": Buffer.alloc(16).toString("base64"),
      "sec-websocket-protocol": linkProtocol,
      ...headers,
    },
  });
  const [response] = await Promise.race([once(asked, "upgrade"), once(asked, "response")]);
  response.socket.destroy();
  return response.statusCode;
}

describe("a request for a WebSocket", () => {
  const own = () => new URL(relay.origin);

  test.each<[string, () => string]>([
    ["another host", () => "https://other.example"],
    ["the relay's host at another port", () => `http://${own().hostname}:1`],
    ["a host that begins like an allowed one", () => "https://allowed.example.org"],
    ["an allowed host with another scheme", () => "http://allowed.example"],
    ["no host, as of a sandboxed page", () => "null"],
    ["no origin at all", () => "allowed.example"],
  ])("from a page of %s is answered with 403", async (_, origin) => {
    expect(await answerTo(relay, { origin: origin() })).toBe(403);
  });

  test.each<[string, () => Record<string, string>]>([
    ["no page", () => ({})],
    ["a page of the relay's own", () => ({ origin: own().origin })],
    [
      "a page of the relay's own whose Host has a capital",
      () => ({ origin: `http://relay:${own().port}`, host: `Relay:${own().port}` }),
    ],
    ["a page of the relay's own behind TLS", () => ({ origin: `https://${own().host}` })],
    ["an allowed page", () => ({ origin: "https://allowed.example" })],
  ])("from %s is granted", async (_, headers) => {
    expect(await answerTo(relay, headers())).toBe(101);
  });

  test("over TLS from a page of the relay's own is granted if the page came over TLS too", async () => {
    const secure = await openRelay({ tls: selfSigned() });
    const { host } = new URL(secure.origin);
    expect(await answerTo(secure, { origin: `https://${host}` })).toBe(101);
    expect(await answerTo(secure, { origin: `http://${host}` })).toBe(403);
    await holdsNothing(secure);
    await secure.close();
  });

  test("from any page is granted where all are allowed", async () => {
    const open = await openRelay({ origins: "*" });
    expect(await answerTo(open, { origin: "https://other.example" })).toBe(101);
    expect(await answerTo(open, { origin: "null" })).toBe(101);
    await holdsNothing(open);
    await open.close();
  });

  test.each([
    ["none", ""],
    ["another", "other"],
    ["one that begins alike", `${linkProtocol}2`],
  ])("for %s of the relay's subprotocols is answered with 400", async (_, protocol) => {
    expect(await answerTo(relay, { "sec-websocket-protocol": protocol })).toBe(400);
  });

  test("for the relay's subprotocol among others gets that one", async () => {
    const raw = new RawLink(relay, { protocols: ["other", linkProtocol] });
    await once(raw.socket, "open");
    expect(raw.socket.protocol).toBe(linkProtocol);
    await raw.close();
  });

  test.each(["/", "/browser-server/streamserver.v1.LinkService/Nothing", linkSocketPath])(
    "for %s is answered with 404",
    async (path) => {
      expect(await answerTo(relay, {}, path)).toBe(404);
    },
  );

  test.each([
    ["version", "sec-websocket-version", "7"],
    ["key", "sec-websocket-key", "short"],
  ])("with a wrong %s is answered with 400", async (_, name, value) => {
    expect(await answerTo(relay, { [name]: value })).toBe(400);
  });
});

describe("a WebSocket is closed for", () => {
  const text = new TextEncoder().encode("text");
  /** So that each byte is read by itself. */
  async function drip(raw: RawLink, bytes: Uint8Array): Promise<void> {
    for (let at = 0; at < bytes.byteLength && raw.socket.readyState === raw.socket.OPEN; at += 1) {
      raw.write(bytes.subarray(at, at + 1));
      await new Promise((resolve) => setImmediate(resolve));
    }
  }
  const ends: [string, number, (raw: RawLink) => unknown][] = [
    ["a text frame", 1003, ({ socket }) => socket.send("text")],
    ["bytes that are no message", 1007, ({ socket }) => socket.send(new Uint8Array([255, 255, 255, 255]))],
    ["text that is not UTF-8", 1007, (raw) => raw.write(socketFrame(1, new Uint8Array([0xc3, 0x28])))],
    ["a message over the limit", 1009, ({ socket }) => socket.send(new Uint8Array(2 * maxBatchBytes + 1))],
    [
      "a message of more packets than a batch has",
      1009,
      (raw) => raw.send(...Array(maxBatchBytes / 64 + 1).fill(credit(1, 1n))),
    ],
    [
      "fragments over the limit",
      1009,
      ({ socket }) => {
        for (let sent = 0; sent <= 2 * maxBatchBytes; sent += 65_536)
          socket.send(new Uint8Array(65_536), { fin: false });
      },
    ],
    [
      "a message of more fragments than one may have",
      1008,
      ({ socket }) => {
        for (let sent = 0; sent <= 1_024; sent += 1) socket.send(new Uint8Array(1), { fin: false });
      },
    ],
    [
      "a frame that comes in more pieces than one may",
      1008,
      (raw) => drip(raw, socketFrame(2, new Uint8Array(60_000))),
    ],
    ["a frame that is not masked", 1002, (raw) => raw.write(socketFrame(2, text, { masked: false }))],
    ["a reserved opcode", 1002, (raw) => raw.write(socketFrame(3, text))],
    ["a reserved bit", 1002, (raw) => raw.write(socketFrame(2, text, { reserved: 0x40 }))],
    ["a ping in fragments", 1002, (raw) => raw.write(socketFrame(9, text, { fin: false }))],
    ["a fragment of nothing", 1002, (raw) => raw.write(socketFrame(0, text))],
    ["a close code that is none", 1002, (raw) => raw.write(socketFrame(8, new Uint8Array([0, 1])))],
  ];

  test.each(ends)("%s, with %i", async (_, code, act) => {
    const raw = await RawLink.open(relay);
    raw.send(opening(1));
    await act(raw);
    expect(await raw.closed).toBe(code);
  });

  test("no message that has as many fragments as one may", async () => {
    const raw = await RawLink.open(relay);
    const message = create(LinkMessageSchema, {
      packets: [{ channel: 7, content: { case: "data", value: new Uint8Array(2_000) } }],
    });
    const bytes = toBinary(LinkMessageSchema, message);
    const first = bytes.byteLength - 1_023;
    raw.socket.send(bytes.subarray(0, first), { fin: false });
    for (let at = first; at < bytes.byteLength; at += 1) {
      raw.socket.send(bytes.subarray(at, at + 1), { fin: at === bytes.byteLength - 1 });
    }
    expect(await raw.reset(7)).toBe(Failure.CHANNEL_INVALID);
    await raw.close();
  });

  test("one link more than the relay takes, with the failure and 4008", async () => {
    const raw = await RawLink.open(relay);
    expect(relay.proxy.counts.links).toBe(maxLinks);
    const surplus = new RawLink(relay);
    expect(await surplus.closed).toBe(4000 + Code.ResourceExhausted);
    expect(surplus.opened).toBeUndefined();
    expect(surplus.resets).toEqual([[0, Failure.LIMIT_REACHED]]);
    await raw.close();
  });
});

test("a client that breaks a rule of WebSockets and stays is cut off, and its link is gone at once", async () => {
  const raw = await RawLink.open(relay);
  raw.connection.removeAllListeners("data").pause();
  raw.write(socketFrame(3, new Uint8Array()));
  await untilLinks(relay, maxLinks - 1);
  raw.connection.resume();
  raw.socket.terminate();
  await raw.closed;
});

describe("a channel is reset, and its link lives, for", () => {
  const listPath = "/streamserver.v1.RelayService/List";
  const rules: [string, PacketInit[], Failure][] = [
    ["data of one that never was", [data(5, 1)], Failure.CHANNEL_INVALID],
    ["credit of one that never was", [{ channel: 5, content: { case: "credit", value: 1n } }], Failure.CHANNEL_INVALID],
    ["being opened twice", [opening(5), opening(5)], Failure.CHANNEL_INVALID],
    ["a number below one that was open", [opening(9), opening(5)], Failure.CHANNEL_INVALID],
    [
      "data beyond its credit",
      [opening(5), data(5, maxPacketBytes), data(5, channelWindowBytes - maxPacketBytes), data(5, 1)],
      Failure.CREDIT_EXCEEDED,
    ],
    ["a packet that is too large", [opening(5), data(5, maxPacketBytes + 1)], Failure.FRAME_TOO_LARGE],
    ["a second end", [opening(5), end(5), end(5)], Failure.PROTOCOL_VIOLATION],
    ["data after its end", [opening(5), end(5), data(5, 1)], Failure.PROTOCOL_VIOLATION],
    [
      "an answer from the client",
      [opening(5), { channel: 5, content: { case: "response", value: { status: 200 } } }],
      Failure.PROTOCOL_VIOLATION,
    ],
    [
      "a trailer that is none",
      [opening(5), { channel: 5, content: { case: "end", value: { trailers: [{ name: "a b" }] } } }],
      Failure.PROTOCOL_VIOLATION,
    ],
    [
      "trailers that are too large",
      [
        opening(5),
        { channel: 5, content: { case: "end", value: { trailers: [{ name: "a", value: "x".repeat(16_384) }] } } },
      ],
      Failure.FRAME_TOO_LARGE,
    ],
    [
      "a header that is none",
      [{ channel: 5, content: { case: "request", value: { path: listPath, headers: [{ name: "a b" }] } } }],
      Failure.PROTOCOL_VIOLATION,
    ],
    [
      "headers that are too large",
      [{ channel: 5, content: { case: "request", value: { headers: [{ name: "a", value: "x".repeat(16_384) }] } } }],
      Failure.FRAME_TOO_LARGE,
    ],
  ];

  test.each(rules)("%s", async (_, packets, failure) => {
    const raw = await RawLink.open(relay);
    // The packets go in one message, so that nobody reads in between.
    raw.send(opening(4, "Watch"), ...packets);
    expect(await raw.reset(5)).toBe(failure);
    await raw.answered();
    expect(raw.resets).toEqual([[5, failure]]);
    await raw.close();
  });

  test("being one of 10,000 at once, but for those that are allowed", async () => {
    const raw = await RawLink.open(relay);
    const channels = Array.from({ length: 10_000 }, (_, at) => at + 1);
    for (let from = 0; from < channels.length; from += 1_000) {
      raw.send(...channels.slice(from, from + 1_000).map((channel) => opening(channel, "Watch")));
    }
    expect(await raw.reset(10_000)).toBe(Failure.LIMIT_REACHED);
    await raw.answered();
    expect(raw.resets).toEqual(channels.slice(maxChannels).map((channel) => [channel, Failure.LIMIT_REACHED]));
    raw.send({ channel: 1, content: { case: "reset", value: { code: Code.Canceled } } }, opening(10_001, "Watch"));
    await raw.answered();
    expect(raw.resets).toHaveLength(channels.length - maxChannels);
    await raw.close();
  });
});

test("a relay that was told all this still serves", async () => {
  const transport = createWebSocketTransport({ baseUrl: relay.url, idleTimeoutMs: 1 });
  expect((await createClient(RelayService, transport).list({})).names).toEqual([]);
});
