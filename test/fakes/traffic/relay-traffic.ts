import { create, type MessageInitShape, toBinary } from "@bufbuild/protobuf";
import { Code } from "@connectrpc/connect";
import { Failure } from "../../../gen/streamserver/v1/failure_pb.js";
import { type Packet, PacketSchema } from "../../../gen/streamserver/v1/link_pb.js";
import { ConnectResponseSchema } from "../../../gen/streamserver/v1/relay_pb.js";
import { envelope } from "../../../leg/envelope.js";
import { mutated, type Random } from "./mutations.js";

type Content = NonNullable<MessageInitShape<typeof PacketSchema>["content"]>;
type Message = NonNullable<MessageInitShape<typeof ConnectResponseSchema>["message"]>;

const messages: Message[] = [
  { case: "opened", value: { streamId: "0123456789abcdef", legToken: "a.b.c", limits: { maxFrameBytes: 65_536 } } },
  { case: "accepted", value: { capabilities: { features: [1, 2], maxMessageBytes: 1_000_000n } } },
  { case: "frame", value: { sequence: 1n, credit: 131_072n, messages: [{ data: new Uint8Array(40) }] } },
  {
    case: "frame",
    value: { sequence: 2n, messages: [{ data: new Uint8Array([97, 98]), text: true, more: true }, { text: true }] },
  },
  { case: "frame", value: { ack: 1n, credit: 262_144n } },
  { case: "frame", value: { sequence: 3n, fin: true } },
];
const ends = [
  envelope(2, new TextEncoder().encode("{}")),
  envelope(2, new TextEncoder().encode(`{"error":{"code":"not_found","message":"nobody"}}`)),
  new Uint8Array(),
];

/** Returns packets of a relay on the channel of a leg and beside it: every kind of packet, in order or not. */
export function relayTraffic(channel: number, random: Random): Packet[] {
  const encoded = messages.map((message) =>
    toBinary(ConnectResponseSchema, create(ConnectResponseSchema, { message })),
  );
  const sent = encoded.map((bytes) => envelope(0, random.chance(10) ? mutated(bytes, random) : bytes));
  const wire = Buffer.concat([...sent, random.pick(ends)]);
  const body = random.chance(20) ? mutated(wire, random) : new Uint8Array(wire);
  const cutAt = random.below(body.byteLength + 1);
  const headers = [{ name: "content-type", value: "application/connect+proto" }];
  const contents: Content[] = [
    { case: "response", value: { status: random.chance(10) ? 404 : 200, headers } },
    { case: "credit", value: BigInt(random.below(1_000_000)) },
    { case: "data", value: body.subarray(0, cutAt) },
    { case: "data", value: body.subarray(cutAt) },
    { case: "end", value: random.chance(10) ? { trailers: [{ name: "x-trailer", value: "after" }] } : {} },
  ];
  const others: Content[] = [
    { case: "ping", value: {} },
    { case: "pong", value: {} },
    { case: "reset", value: { code: Code.Unavailable, reason: "gone", failure: Failure.DRAINING } },
  ];
  const packets = contents.map((content) => create(PacketSchema, { channel, content }));
  for (const content of others) {
    if (random.chance(20)) packets.push(create(PacketSchema, { channel: random.pick([0, channel, 99]), content }));
  }
  return random.shuffled(packets, random.pick([0, 0, 20, 100]));
}
