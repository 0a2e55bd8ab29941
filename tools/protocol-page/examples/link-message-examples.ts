import { create, fromBinary } from "@bufbuild/protobuf";
import { Failure } from "../../../gen/streamserver/v1/failure_pb.js";
import { type LinkMessage, LinkMessageSchema } from "../../../gen/streamserver/v1/link_pb.js";
import { encodePackets, lastPacket } from "../../../link/packet/link-message.js";
import type { OutgoingPacket } from "../../../link/packet/outgoing-packet.js";
import { maxBatchBytes } from "../../../server/link/link-sockets.js";
import { Links } from "../../../server/link/links.js";
import { StreamError } from "../../../stream/error/stream-error.js";
import { newRelay, someCaller } from "../../../test/fakes/relays.js";
import { requestPackets } from "./link-examples.js";
import type { WireExample } from "./stream-examples.js";

/** The packets as one message of a WebSocket. */
function sent(packets: OutgoingPacket[]): LinkMessage {
  return fromBinary(LinkMessageSchema, encodePackets(packets).joined);
}

/** A relay's first message, with ids that are the same each time. */
function openedMessage(): LinkMessage {
  const { relay } = newRelay();
  const { limits, clock, signer, admission, events } = relay;
  const links = new Links({ limits, clock, signer, admission, events, handlers: [] });
  const { link, opened } = links.open(someCaller, "", maxBatchBytes);
  link.close(new StreamError("an example"));
  return create(LinkMessageSchema, { opened: { ...opened, linkId: "LINK", linkToken: "TOKEN" } });
}

/** Messages of both sides of a WebSocket. */
export function linkMessageExamples(): WireExample<typeof LinkMessageSchema>[] {
  const { data, end } = requestPackets;
  const tooMany = new StreamError("too many links", { failure: Failure.LIMIT_REACHED });
  const messages: [title: string, message: LinkMessage][] = [
    ["The relay's first message", openedMessage()],
    ["The same where it opens no link, before it closes the WebSocket", sent([lastPacket(tooMany)])],
    ["A message with the body and the end of the request above", sent([data, end])],
  ];
  return messages.map(([title, message]) => ({ title, schema: LinkMessageSchema, message }));
}
