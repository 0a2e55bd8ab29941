import { create } from "@bufbuild/protobuf";
import { expect, test } from "vitest";
import { ChannelRequestSchema } from "../../../../../gen/streamserver/v1/link_pb.js";
import { socketMetadata } from "../../../../../server/gateway/socket/socket-head.js";

test("socketMetadata has each header under its own name, whatever that is, and its own facts instead of theirs", () => {
  const given: [string, string][] = [
    [":scheme", "https"],
    ["constructor", "1"],
    ["__proto__", "2"],
    ["x-mine", "3"],
    ["x-mine", "4"],
    ["path", "/wrong"],
    ["protocol", "wrong"],
    ["sec-websocket-key", "key"],
  ];
  const headers = given.map(([name, value]) => ({ name, value }));
  const metadata = socketMetadata(create(ChannelRequestSchema, { path: "/a?b", headers }));
  expect(Object.entries(metadata).toSorted()).toEqual([
    ["__proto__", "2"],
    ["constructor", "1"],
    ["path", "/a?b"],
    ["protocol", "websocket"],
    ["x-forwarded-proto", "https"],
    ["x-mine", "3, 4"],
  ]);
});
