import { create } from "@bufbuild/protobuf";
import { type Packet, PacketSchema } from "../gen/streamserver/v1/link_pb.js";
import type { Parts } from "../leg/parts.js";

/** A packet that is to be sent: one with data holds it as it came. */
export type OutgoingPacket = Packet | { channel: number; data: Parts };

/** As a message of Protobuf's. */
export function packetMessage(packet: OutgoingPacket): Packet {
  if (!("data" in packet)) return packet;
  const content = { case: "data" as const, value: packet.data.joined };
  return create(PacketSchema, { channel: packet.channel, content });
}
