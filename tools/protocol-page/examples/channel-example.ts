import { create, type DescMessage, toBinary } from "@bufbuild/protobuf";
import { type Packet, PacketSchema } from "../../../gen/streamserver/v1/link_pb.js";
import { ConnectRequestSchema, ConnectResponseSchema } from "../../../gen/streamserver/v1/relay_pb.js";
import { maxBatchBytes } from "../../../server/link/link-sockets.js";
import { StreamError } from "../../../stream/error/stream-error.js";
import { packet, packetBatches } from "../../../test/fakes/links.js";
import { newLinkedRelay } from "../../../test/fakes/relay-links.js";
import { fenced } from "../tables/markdown.js";
import { decodeEnvelopes, encodeEnvelope, walkEnvelope } from "./envelope.js";
import { connectHeaders, connectPath, conversation, requestEnvelope, withoutChance } from "./exchange-examples.js";
import { greetOneClient } from "./greeting-listener.js";
import { dumpLines, type WireLine, walkWire } from "./wire-walk.js";

const channel = 1;

function clientPackets(): Packet[] {
  const headers = Object.entries(connectHeaders).map(([name, value]) => ({ name, value }));
  const envelopes = conversation.map(requestEnvelope);
  return [
    packet({ channel, content: { case: "request", value: { path: connectPath, headers } } }),
    packet({ channel, content: { case: "data", value: joined(envelopes.slice(0, 1)) } }),
    packet({ channel, content: { case: "data", value: joined(envelopes.slice(1)) } }),
    packet({ channel, content: { case: "end", value: {} } }),
  ];
}

/** The packets of a simple client's whole `Connect` on the first channel of a link, and the answer of a relay. */
export async function channelPackets(): Promise<{ client: Packet[]; relay: Packet[] }> {
  const memory = newLinkedRelay();
  await greetOneClient(memory, "demo", "welcome");
  const { link } = memory.open();
  const client = clientPackets();
  for (const each of client) link.receive(each);
  const relay: Packet[] = [];
  for await (const batch of packetBatches(link, maxBatchBytes)) {
    relay.push(...batch.map(packetWithoutChance));
    if (batch.some(({ content }) => content.case === "end" || content.case === "reset")) break;
  }
  link.close(new StreamError("an example"));
  return { client, relay };
}

export async function channelExample(): Promise<string> {
  const { client, relay } = await channelPackets();
  return [
    "The client's packets:",
    fenced(client.map((each) => dumpLines(packetLines(ConnectRequestSchema, each))).join("\n\n")),
    "The relay's:",
    fenced(relay.map((each) => dumpLines(packetLines(ConnectResponseSchema, each))).join("\n\n")),
  ].join("\n\n");
}

function packetWithoutChance(said: Packet): Packet {
  if (said.content.case !== "data") return said;
  const value = joined(decodeEnvelopes(said.content.value).map(withoutChance).map(encodeEnvelope));
  return packet({ channel: said.channel, content: { case: "data", value } });
}

function joined(chunks: Uint8Array[]): Uint8Array {
  return new Uint8Array(Buffer.concat(chunks));
}

/** The lines of a packet. Data is shown as the envelopes in it. */
function* packetLines(schema: DescMessage, said: Packet): Generator<WireLine> {
  const bytes = toBinary(PacketSchema, said);
  if (said.content.case !== "data") return yield* walkWire(PacketSchema, bytes);
  const { value } = said.content;
  const first = toBinary(PacketSchema, create(PacketSchema, { channel: said.channel }));
  yield* walkWire(PacketSchema, first);
  const head = bytes.subarray(first.byteLength, bytes.byteLength - value.byteLength);
  yield { depth: 0, bytes: head, note: `data: ${value.byteLength} bytes` };
  for (const envelope of decodeEnvelopes(value)) yield* walkEnvelope(schema, envelope, 1);
}
