import { create, toBinary } from "@bufbuild/protobuf";
import { describe, expect, test } from "vitest";
import { Failure } from "../../../../gen/streamserver/v1/failure_pb.js";
import { ChannelRequestSchema, HeaderSchema, PacketSchema } from "../../../../gen/streamserver/v1/link_pb.js";
import {
  contentLength,
  endToEndHeaders,
  maxHttpHeadBytes,
  requestFromWire,
  requestToWire,
  responseFromWire,
  responseToWire,
} from "../../../../http/message/head.js";
import { headersToWire } from "../../../../link/packet/header.js";
import { maxOtherPacketBytes } from "../../../../link/packet/link-message.js";
import { thrown } from "../../../fakes/outcome.js";

const head = { method: "GET", scheme: "https", authority: "a.example:8443", path: "/x?y=1" };
const wire = (init: { path?: string; headers?: Record<string, string> }) => {
  const headers = { ":method": "GET", ":scheme": "http", ":authority": "localhost", ...init.headers };
  const list = Object.entries(headers).map(([name, value]) => ({ name, value }));
  return create(ChannelRequestSchema, { path: init.path ?? "/", headers: list });
};

test("requestToWire and responseToWire leave out the headers of one connection", () => {
  const headers = new Headers({ connection: "x-hop", "x-hop": "1", "keep-alive": "timeout=5", a: "1" });
  const names = (list: readonly { name: string }[]) => list.map(({ name }) => name).filter((name) => name[0] !== ":");
  expect(names(requestToWire({ ...head, headers }).headers)).toEqual(["a"]);
  expect(names(responseToWire(200, headers).headers)).toEqual(["a"]);
});

describe("requestFromWire", () => {
  test("reads what requestToWire writes", () => {
    const read = requestFromWire(requestToWire({ ...head, headers: new Headers({ a: "1", cookie: "b" }) }));
    expect({ ...read, headers: [...read.headers] }).toEqual({
      ...head,
      headers: [
        ["a", "1"],
        ["cookie", "b"],
      ],
    });
  });

  test.each([
    ["without a method", { headers: { ":method": "" } }],
    ["with a method of two words", { headers: { ":method": "GET /" } }],
    ["with another scheme", { headers: { ":scheme": "file" } }],
    ["without an authority", { headers: { ":authority": "" } }],
    ["with an authority that has a path", { headers: { ":authority": "a/b" } }],
    ["with an authority that has a user", { headers: { ":authority": "a@b" } }],
    ["with an authority beyond ASCII", { headers: { ":authority": "\u65e5\u672c" } }],
    ["with an authority that has a backslash", { headers: { ":authority": "a\\b" } }],
    ["with an authority that is none", { headers: { ":authority": "a:b" } }],
    ["with an absolute path missing", { path: "x" }],
    ["with an absolute URL for a path", { path: "http://a.example/" }],
    ["with a header that has a newline", { headers: { a: "b\nc: d" } }],
    ["with a header that has no name", { headers: { "": "b" } }],
  ])("refuses a request %s", (_, init) => {
    expect(thrown(() => requestFromWire(wire(init))).failure).toBe(Failure.PROTOCOL_VIOLATION);
  });

  test.each(["a.example:80", "[::1]:8080", "a_b-c~!"])("takes the authority %s", (authority) => {
    expect(requestFromWire(wire({ headers: { ":authority": authority } })).authority).toBe(authority);
  });

  test("drops headers of one connection that a peer has sent", () => {
    const { headers } = requestFromWire(wire({ headers: { connection: "a, b c", a: "1", upgrade: "x", b: "2" } }));
    expect([...headers.keys()]).toEqual(["b"]);
  });
});

test.each([100, 101, 199, 600, 0])("responseFromWire refuses the status %i", (status) => {
  expect(thrown(() => responseFromWire(responseToWire(status, new Headers()))).failure).toBe(
    Failure.PROTOCOL_VIOLATION,
  );
});

test.each([
  ["of one header", "x", 1],
  ["of characters that take two bytes", "\xff", 2],
])("a head %s that is as large as allowed fits in a packet, and a larger one is refused", (_, character, bytes) => {
  const largest = Math.floor((maxHttpHeadBytes - 33) / bytes);
  const response = responseToWire(200, new Headers({ a: character.repeat(largest) }));
  const packet = create(PacketSchema, { channel: 0xffffffff, content: { case: "response", value: response } });
  expect(toBinary(PacketSchema, packet).byteLength).toBeLessThanOrEqual(maxOtherPacketBytes);
  const tooLarge = () => responseToWire(200, new Headers({ a: character.repeat(largest + 1) }));
  expect(thrown(tooLarge).failure).toBe(Failure.FRAME_TOO_LARGE);
});

test("requestToWire counts the path", () => {
  const tooLarge = () => requestToWire({ ...head, path: `/${"x".repeat(maxHttpHeadBytes)}`, headers: new Headers() });
  expect(thrown(tooLarge).failure).toBe(Failure.FRAME_TOO_LARGE);
});

test("endToEndHeaders leaves the headers that it is given as they are", () => {
  const given = new Headers({ connection: "a", a: "1" });
  expect(endToEndHeaders(headersToWire(given))).toEqual([]);
  expect([...given.keys()]).toEqual(["a", "connection"]);
});

test("endToEndHeaders takes no longer for a header than for another where Connection names many", {
  timeout: 2_000,
}, () => {
  // Each header compared with each name takes half a minute.
  const connection = Array.from({ length: 100_000 }, (_, index) => `a${index}`).join(",");
  const others = Array.from({ length: 100_000 }, (_, index) => create(HeaderSchema, { name: `b${index}`, value: "1" }));
  const headers = [create(HeaderSchema, { name: "connection", value: connection }), ...others];
  expect(endToEndHeaders(headers)).toHaveLength(100_000);
});

test.each(["1, 2", "-1", "1.5", "1e3", "", "9999999999999999"])("contentLength refuses %j", (value) => {
  const headers = new Headers({ "content-length": value });
  expect(thrown(() => contentLength(headers)).failure).toBe(Failure.PROTOCOL_VIOLATION);
});
