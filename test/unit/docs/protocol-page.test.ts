import { readFileSync } from "node:fs";
import { fromBinary, fromJson, toBinary, toJson } from "@bufbuild/protobuf";
import { Code } from "@connectrpc/connect";
import { endStreamFromJson } from "@connectrpc/connect/protocol-connect";
import { expect, test } from "vitest";
import { Failure } from "../../../gen/streamserver/v1/failure_pb.js";
import type { Frame } from "../../../gen/streamserver/v1/frame_pb.js";
import { PacketSchema } from "../../../gen/streamserver/v1/link_pb.js";
import { channelWindowBytes } from "../../../link/channel.js";
import { headerOverheadBytes, maxHeadBytes } from "../../../link/header.js";
import { maxOtherPacketBytes } from "../../../link/link-message.js";
import { maxNamesPerPage } from "../../../server/relay/directory.js";
import { maxCapabilitiesBytes } from "../../../server/relay/relay.js";
import { defaultMaxMessageBytes } from "../../../stream/capabilities.js";
import { rawCodec } from "../../../stream/codec.js";
import { Endpoint } from "../../../stream/endpoint.js";
import { initialCreditBytes, messageOverheadBytes } from "../../../stream/sender.js";
import { maxReasonBytes } from "../../../stream/stream-error.js";
import { channelPackets } from "../../docs/channel-example.js";
import { decodeEnvelopes, endStreamFlag } from "../../docs/envelope.js";
import { failureDisagreements } from "../../docs/failure-table.js";
import { untoldLimits } from "../../docs/limit-table.js";
import { linkExamples, otherPackets, responsePackets } from "../../docs/link-examples.js";
import { linkMessageExamples } from "../../docs/link-message-examples.js";
import { grouped } from "../../docs/markdown.js";
import { brokenLinks } from "../../docs/page-links.js";
import { repeatedNumbers, unknownNames } from "../../docs/page-names.js";
import { readProtoProse } from "../../docs/proto-prose.js";
import { fillBlocks, generatedBlocks, handWritten } from "../../docs/protocol-page.js";
import { lastFrames, messagesRead, openingExamples, streamFrames } from "../../docs/stream-examples.js";
import { bytesOf, loneLink, loneRelayLink, packet, request } from "../../fakes/links.js";
import { settled } from "../../fakes/outcome.js";

const path = "../../../docs/protocol.md";
const pageUrl = new URL(path, import.meta.url);
const page = readFileSync(pageUrl, "utf8");
const prose = readProtoProse();
const blocks = generatedBlocks(prose);

test("the page is what the proto files and the code say", async () => {
  await expect(fillBlocks(page, await blocks)).toMatchFileSnapshot(path);
});

test("every name on the page is one of the protocol's", async () => {
  expect(unknownNames(fillBlocks(page, await blocks))).toEqual([]);
});

test("what people wrote repeats no number that the tables have", () => {
  expect(repeatedNumbers(handWritten(page))).toEqual([]);
});

test("every link on the page leads somewhere", () => {
  expect(brokenLinks(page, pageUrl)).toEqual([]);
  expect(brokenLinks("# Some words\n[a](#some-words) [b](#other) [c](nothing.md)", pageUrl)).toEqual([
    "#other",
    "nothing.md",
  ]);
});

test("a name or a number that is wrong is noticed", () => {
  const wrong = "`Frame.nothing` `Frame.ack` FAILURE_NONE\n```mermaid\n  A->>B: Open{name, game}, Opem{}\n```\n";
  expect(unknownNames(wrong)).toEqual(["Frame.nothing", "FAILURE_NONE", "Open.game", "Opem.", "Opem"]);
  expect(repeatedNumbers("after 15 s, 64 KiB, 65,536, number 1, HTTP/1.1, RFC 6455")).toEqual([
    "15 s",
    "64 KiB",
    "65,536",
  ]);
});

test("every limit of the relay is on the page", () => {
  expect(untoldLimits).toEqual([]);
});

test("every failure comes with the code and the hop that its prose names", () => {
  expect(failureDisagreements(prose)).toEqual([]);
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
])("the prose of %s has the code's number, %i", (name, value) => {
  expect(prose.get(`streamserver.v1.${name}`)).toContain(` ${grouped(value)}`);
});

test("every example comes back from its bytes and from its JSON as it was", async () => {
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

/** An endpoint that has sent one frame and got these; and what its application has read. */
function receive(frames: readonly Frame[]) {
  const endpoint = new Endpoint({}, () => {});
  endpoint.write({ data: new Uint8Array(1), text: false });
  endpoint.takeFrame();
  for (const frame of frames) endpoint.receive(frame);
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
  expect(relay.opened[0]?.signal.aborted).toBe(true);
});

test("the stream on a channel ends well for the client's end of a link", async () => {
  const { link, said } = loneLink();
  const channel = link.open(request());
  const { relay } = await channelPackets();
  for (const each of relay) link.receive(each);
  const last = decodeEnvelopes(await bytesOf(channel.body())).at(-1);
  expect(last?.flags).toBe(endStreamFlag);
  expect(endStreamFromJson(last?.content ?? new Uint8Array()).error).toBeUndefined();
  expect(link.size).toBe(0);
  await settled();
  expect(said.map(({ content }) => content.case)).toEqual(["request"]);
});
