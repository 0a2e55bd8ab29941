import { readFileSync } from "node:fs";
import { fromBinary, fromJson, toBinary, toJson } from "@bufbuild/protobuf";
import { Code } from "@connectrpc/connect";
import { endStreamFlag, endStreamFromJson } from "@connectrpc/connect/protocol-connect";
import { describe, expect, test } from "vitest";
import { Failure } from "../../../gen/streamserver/v1/failure_pb.js";
import type { Frame } from "../../../gen/streamserver/v1/frame_pb.js";
import { PacketSchema } from "../../../gen/streamserver/v1/link_pb.js";
import { frameFromWire } from "../../../leg/wire-frame.js";
import type { Channel } from "../../../link/channel/channel.js";
import { ChannelBodies } from "../../../link/channel/channel-bodies.js";
import { channelWindowBytes } from "../../../link/channel/channel-inbox.js";
import { headerOverheadBytes, maxHeadBytes } from "../../../link/packet/header.js";
import { maxOtherPacketBytes } from "../../../link/packet/link-message.js";
import { defaultLimits } from "../../../server/admission/limits.js";
import { maxNamesPerPage } from "../../../server/relay/directory.js";
import { maxCapabilitiesBytes } from "../../../server/relay/stream/capabilities.js";
import { rawCodec } from "../../../stream/codec.js";
import { defaultMaxMessageBytes } from "../../../stream/endpoint/capabilities.js";
import { Endpoint } from "../../../stream/endpoint/endpoint.js";
import { initialCreditBytes, messageOverheadBytes } from "../../../stream/endpoint/sender.js";
import { failureTable, maxReasonBytes } from "../../../stream/error/stream-error.js";
import { channelPackets } from "../../../tools/protocol-page/examples/channel-example.js";
import { decodeEnvelopes } from "../../../tools/protocol-page/examples/envelope.js";
import { linkExamples, otherPackets, responsePackets } from "../../../tools/protocol-page/examples/link-examples.js";
import { linkMessageExamples } from "../../../tools/protocol-page/examples/link-message-examples.js";
import {
  lastFrames,
  messagesRead,
  openingExamples,
  streamFrames,
} from "../../../tools/protocol-page/examples/stream-examples.js";
import { handWritten, protocolPage } from "../../../tools/protocol-page/protocol-page.js";
import { relayDeadlines } from "../../../tools/protocol-page/tables/deadline-limits.js";
import { failureProse } from "../../../tools/protocol-page/tables/failure-table.js";
import { grouped } from "../../../tools/protocol-page/tables/markdown.js";
import { readProtoProse } from "../../../tools/protocol-page/tables/proto-prose.js";
import { relaySizes } from "../../../tools/protocol-page/tables/relay-sizes.js";
import { bytesOf, loneLink, loneRelayLink, packet, request } from "../../fakes/links.js";
import { settled } from "../../fakes/outcome.js";
import { brokenLinks } from "./page-links.js";
import { repeatedNumbers, unknownNames } from "./page-names.js";

const pageUrl = new URL("../../../docs/protocol.md", import.meta.url);
const page = readFileSync(pageUrl, "utf8");
const prose = readProtoProse();

describe("protocolPage", () => {
  test("gives the page as it is in docs/", async () => {
    expect(await protocolPage(page)).toBe(page);
  });

  test("rejects a page that lacks a block, or has one that the program does not write", async () => {
    const unknown = "<!-- generated: of-nobody --><!-- /generated -->";
    await expect(protocolPage(page.replace("<!-- generated: sizes -->", ""))).rejects.toThrow("sizes");
    await expect(protocolPage(page + unknown)).rejects.toThrow("of-nobody");
  });
});

describe("docs/protocol.md", () => {
  test("uses only names of the protocol", () => {
    expect(unknownNames(page)).toEqual([]);
    const wrong = "`Frame.nothing` `Frame.ack` FAILURE_NONE\n```mermaid\n  A->>B: Open{name, game}, Opem{}\n```\n";
    expect(unknownNames(wrong)).toEqual(["Frame.nothing", "FAILURE_NONE", "Open.game", "Opem.", "Opem"]);
  });

  test("repeats no number of its tables in its own words", () => {
    expect(repeatedNumbers(handWritten(page))).toEqual([]);
    const numbers = repeatedNumbers("after 15 s, 64 KiB, 65,536, number 1, HTTP/1.1, RFC 6455");
    expect(numbers).toEqual(["15 s", "64 KiB", "65,536"]);
  });

  test("has no link that leads nowhere", () => {
    expect(brokenLinks(page, pageUrl)).toEqual([]);
    const links = "# Some words\n[a](#some-words) [b](#other) [c](nothing.md)";
    expect(brokenLinks(links, pageUrl)).toEqual(["#other", "nothing.md"]);
  });

  test("has a row for every limit of the relay", () => {
    const told = Object.keys({ ...relaySizes, ...relayDeadlines });
    expect(told.sort()).toEqual(Object.keys(defaultLimits).sort());
  });
});

const ownFailures = failureProse(prose).filter(({ failure }) => failure !== Failure.UNSPECIFIED);

test.each(ownFailures)("the comment of $name names the code and the hop that come with it", (described) => {
  const [code, hop] = failureTable[described.failure];
  expect(described.hops).toContain(hop);
  // The listener chooses the code, so the comment names none.
  if (described.failure === Failure.DECLINED) expect(described.codes).toEqual([]);
  else expect(described.codes).toContain(code);
});

test.each([
  ["Frame.credit", initialCreditBytes],
  ["Frame.credit", messageOverheadBytes],
  ["Capabilities.max_message_bytes", defaultMaxMessageBytes],
  ["Reset.reason", maxReasonBytes],
  ["RejectRequest.reason", maxReasonBytes],
  ["Packet.credit", channelWindowBytes],
  ["ChannelRequest.headers", maxHeadBytes],
  ["ChannelRequest.headers", headerOverheadBytes],
  ["ChannelEnd.trailers", maxHeadBytes],
  ["Capabilities", maxCapabilitiesBytes],
  ["Packet", maxOtherPacketBytes],
  ["ListRequest.page_size", maxNamesPerPage],
])("the comment of %s has the number of the code, %i", (name, value) => {
  expect(prose.get(`streamserver.v1.${name}`)).toContain(` ${grouped(value)}`);
});

test("every example on the page comes back from its bytes and from its JSON as it was", async () => {
  const frames = [...Object.values(streamFrames), ...Object.values(lastFrames)];
  const { client, relay } = await channelPackets();
  for (const { schema, message } of [
    ...openingExamples,
    ...frames,
    ...(await linkExamples()),
    ...linkMessageExamples(),
    ...[...client, ...relay].map((message) => ({ schema: PacketSchema, message })),
  ]) {
    expect(fromBinary(schema, toBinary(schema, message))).toEqual(message);
    expect(fromJson(schema, toJson(schema, message))).toEqual(message);
  }
});

/** An endpoint that has sent one frame and received these, and the messages that its application has read. */
function receive(frames: readonly Frame[]) {
  const endpoint = new Endpoint({}, () => {});
  endpoint.write({ data: new Uint8Array(1), text: false });
  endpoint.takeFrame();
  for (const frame of frames) endpoint.receive(frameFromWire(frame));
  const read: unknown[] = [];
  for (let next = endpoint.read(); next !== undefined; next = endpoint.read()) read.push(rawCodec.decode(next));
  return { endpoint, read };
}

const body = Object.values(streamFrames).map(({ message }) => message);

test("the frames on the page are a stream", () => {
  const { endpoint, read } = receive(body);
  expect(read).toEqual(messagesRead);
  expect(endpoint.state).toMatchObject({ kind: "open", receiving: "finished" });
});

test("the other ends on the page are ends of that stream", () => {
  const opening = body.slice(0, -1);
  expect(receive([...opening, lastFrames.fin.message]).endpoint.state).toMatchObject({ receiving: "finished" });
  const reset = { kind: "failed", error: { code: Code.ResourceExhausted, message: "too busy" } };
  expect(receive([...opening, lastFrames.reset.message]).endpoint.state).toMatchObject(reset);
  const violation = { kind: "failed", error: { code: Code.OutOfRange, failure: Failure.SEQUENCE_GAP } };
  expect(receive([...opening, lastFrames.violation.message]).endpoint.state).toMatchObject(violation);
});

test("the packets on the page are taken by both ends of a link", async () => {
  const { link: client, said } = loneLink();
  const channel = client.open(request());
  const { ping, pong, credit, reset } = otherPackets;
  for (const each of [ping, credit, ...(await responsePackets())]) client.receive(each);
  await settled();
  expect(said.map(({ content }) => content.case)).toEqual(["request", "pong"]);
  expect((await channel.response.promise).status).toBe(200);
  const relay = loneRelayLink();
  const opening = packet({ channel: 1, content: { case: "request", value: request() } });
  for (const each of [opening, pong, credit, reset]) relay.link.receive(each);
  await settled();
  expect(relay.said).toEqual([]);
  expect(new ChannelBodies(relay.opened[0] as Channel).signal.aborted).toBe(true);
});

test("the stream on a channel ends well for the client's end of a link", async () => {
  const { link, said } = loneLink();
  const channel = link.open(request());
  const { relay } = await channelPackets();
  for (const each of relay) link.receive(each);
  const last = decodeEnvelopes(await bytesOf(new ChannelBodies(channel).received())).at(-1);
  expect(last?.flags).toBe(endStreamFlag);
  expect(endStreamFromJson(last?.content ?? new Uint8Array()).error).toBeUndefined();
  expect(link.size).toBe(0);
  await settled();
  expect(said.map(({ content }) => content.case)).toEqual(["request"]);
});
