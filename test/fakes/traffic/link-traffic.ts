import { create, type MessageInitShape, toBinary } from "@bufbuild/protobuf";
import { Code } from "@connectrpc/connect";
import { LinkMessageSchema, type Packet, PacketSchema, RelayService } from "browser-stream-server/gen";
import { envelope } from "../../../leg/envelope.ts";
import { lengthTag, varintBytes, WireWriter } from "../../../leg/wire-writer.ts";
import { mutated, mutatedFields, type Random } from "./mutations.ts";
import { noProofs, relaySamples } from "./rpc-messages.ts";

type Content = NonNullable<MessageInitShape<typeof PacketSchema>["content"]>;
/** The bodies of calls: of each RPC of the relay, a right one. */
const bodies: readonly [method: string, messages: Uint8Array[], isUnary: boolean][] = [
  ...relaySamples(noProofs).map(({ method, messages, kind }): [string, Uint8Array[], boolean] => [
    method,
    messages.map(({ binary }) => binary),
    kind === "unary",
  ]),
  ["Nothing", [new Uint8Array(20)], false],
];

/** One call on a channel, its body mutated now and then. */
function call(channel: number, random: Random): Packet[] {
  const [method, messages, isUnary] = random.pick(bodies);
  const mutate = (message: Uint8Array) => (random.chance(50) ? mutated : mutatedFields)(message, random);
  const sent = messages.map((message) => (random.chance(20) ? mutate(message) : message));
  const wire = Buffer.concat(isUnary ? sent : sent.map((message) => envelope(0, message)));
  const body = random.chance(20) ? mutated(wire, random) : new Uint8Array(wire);
  const cutAt = random.below(body.byteLength + 1);
  const headers = [{ name: "content-type", value: `application/${isUnary ? "" : "connect+"}proto` }];
  if (random.chance(20)) headers.push({ name: "connect-timeout-ms", value: "100" });
  const contents: Content[] = [
    { case: "request", value: { path: `/${RelayService.typeName}/${method}`, headers } },
    { case: "data", value: body.subarray(0, cutAt) },
    { case: "data", value: body.subarray(cutAt) },
    { case: "credit", value: BigInt(random.below(1_000_000)) },
    { case: "end", value: random.chance(10) ? { trailers: [{ name: "x-trailer", value: "after" }] } : {} },
  ];
  return contents.map((content) => create(PacketSchema, { channel, content }));
}

/** Returns packets of a client on a channel and beside it: every kind of packet, in order or not. */
export function linkTraffic(channel: number, random: Random): Packet[] {
  const others: [number, Content][] = [
    [0, { case: "ping", value: {} }],
    [0, { case: "pong", value: {} }],
    [channel, { case: "response", value: { status: 200, headers: [{ name: "a", value: "b" }] } }],
    [channel, { case: "reset", value: { code: Code.Canceled, reason: "enough" } }],
    [channel + 99, { case: "data", value: new Uint8Array(5) }],
  ];
  const some = others
    .filter(() => random.chance(20))
    .map(([of, content]) => create(PacketSchema, { channel: of, content }));
  return random.shuffled([...call(channel, random), ...some], random.pick([0, 0, 20, 100]));
}

/** The message that carries the packets, with its bytes mutated, or those of one packet, or what its packets say. */
export function mutatedMessage(packets: readonly Packet[], random: Random): Uint8Array<ArrayBuffer> {
  const how = random.below(3);
  if (how === 0)
    return mutated(toBinary(LinkMessageSchema, create(LinkMessageSchema, { packets: [...packets] })), random);
  if (how > 1) return toBinary(LinkMessageSchema, create(LinkMessageSchema, { packets: misused(packets, random) }));
  const at = random.below(packets.length);
  const encoded = packets.map((one, index) => {
    const bytes = toBinary(PacketSchema, one);
    return index === at ? mutated(bytes, random) : bytes;
  });
  return joined(encoded);
}

/** Returns the bytes of a message with these packets. */
function joined(packets: readonly Uint8Array[]): Uint8Array<ArrayBuffer> {
  const size = packets.reduce((sum, { byteLength }) => sum + 1 + varintBytes(byteLength) + byteLength, 0);
  const writer = new WireWriter(size);
  for (const one of packets) {
    writer.varint(lengthTag(LinkMessageSchema.field.packets.number)).varint(one.byteLength).raw(one);
  }
  return writer.bytes;
}

const packet = (channel: number, content: Content) => create(PacketSchema, { channel, content });
const letters = (random: Random) => String.fromCharCode(...random.bytes(2), 97);

/** The packets that may come in place of a packet. */
const misuses: readonly ((of: Packet, random: Random) => Packet[])[] = [
  () => [],
  (of) => [of, of],
  ({ content }, random) => [packet(random.pick([0, 1, 7, 4_000_000_000]), content as Content)],
  (of, random) => [of, packet(of.channel, { case: "credit", value: random.pick([0n, 2n ** 53n, 2n ** 64n - 1n]) })],
  (of, random) => [of, packet(of.channel, { case: "end", value: { trailers: [{ name: letters(random) }] } })],
  ({ channel }, random) => {
    const path = `/${RelayService.typeName}/${random.pick(bodies)[0]}`;
    return [packet(channel + 1, { case: "request", value: { path, headers: [{ name: letters(random) }] } })];
  },
];

/** The packets with one to three things done to them that no client may do. */
function misused(packets: readonly Packet[], random: Random): Packet[] {
  const result = [...packets];
  for (let left = 1 + random.below(3); left > 0 && result.length > 0; left -= 1) {
    const at = random.below(result.length);
    result.splice(at, 1, ...random.pick(misuses)(result[at] as Packet, random));
  }
  return result;
}
