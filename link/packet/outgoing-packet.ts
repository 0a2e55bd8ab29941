import { create } from "@bufbuild/protobuf";
import { type Packet, PacketSchema } from "../../gen/streamserver/v1/link_pb.js";
import type { Parts } from "../../leg/parts.js";

/** A packet that waits to be sent. Data stays in the arrays that it came in. */
export type OutgoingPacket = Packet | { channel: number; data: Parts };

/** A packet as a Protobuf message, with its data joined in one array. */
export function packetMessage(packet: OutgoingPacket): Packet {
  if (!("data" in packet)) return packet;
  const content = { case: "data" as const, value: packet.data.joined };
  return create(PacketSchema, { channel: packet.channel, content });
}
