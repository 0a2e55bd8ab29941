import { legOverheadBytes } from "../../../leg/leg-call.js";
import { channelWindowBytes, maxChannelWindowBytes } from "../../../link/channel/channel-inbox.js";
import { maxOutboxBytes, maxPings, maxRequestsBytes, maxWidenedBytes } from "../../../link/link.js";
import { packetOverheadBytes } from "../../../link/outbox.js";
import { headerOverheadBytes, maxHeadBytes } from "../../../link/packet/header.js";
import { maxOtherPacketBytes } from "../../../link/packet/link-message.js";
import { maxBatchBytes as maxSendBytes } from "../../../server/link/link-routes.js";
import {
  maxBufferedChunks,
  maxFragments,
  maxBatchBytes as maxSocketBatchBytes,
  maxSocketMessageBytes,
} from "../../../server/link/link-sockets.js";
import { maxPacketBytes } from "../../../server/link/links.js";
import { maxNamesPerPage } from "../../../server/relay/directory.js";
import { maxCapabilitiesBytes } from "../../../server/relay/stream/capabilities.js";
import { defaultMaxMessageBytes } from "../../../stream/endpoint/capabilities.js";
import { initialCreditBytes, messageOverheadBytes, minPartBytes } from "../../../stream/endpoint/sender.js";
import { maxReasonBytes } from "../../../stream/error/stream-error.js";
import { bytes, type LimitRow, limitReached, notTold, tooLarge } from "./limit-row.js";
import { grouped } from "./markdown.js";

/** Limits of size and number that are the same for every relay. */
export const fixedSizes: LimitRow[] = [
  {
    what: "what each direction of a stream may cost before the first grant",
    value: bytes(initialCreditBytes),
    enforcedBy: "the endpoint that receives",
    beyond: "it resets the stream with `FAILURE_CREDIT_EXCEEDED`",
    told: "`Frame.credit`",
  },
  {
    what: "what a message, or a part of one, costs beside its data",
    value: bytes(messageOverheadBytes),
    enforcedBy: "nobody: a rule for counting",
    beyond: "",
    told: "`Frame.credit`",
  },
  {
    what: "a part that a message is split into because credit is short",
    value: `not less than ${bytes(minPartBytes)}`,
    enforcedBy: "the sender, if it is this project's own",
    beyond: "it waits for more credit",
    told: notTold,
  },
  {
    what: "a message that is not split because credit is short",
    value: "up to a quarter of the most that a grant of this stream has left to send",
    enforcedBy: "the sender, if it is this project's own",
    beyond: "it waits for more credit: let no grant wait until more than half a window is used up and read",
    told: notTold,
  },
  {
    what: "a message",
    value: `${bytes(defaultMaxMessageBytes)}, unless the endpoint names another number`,
    enforcedBy: "the endpoint that receives",
    beyond: "it resets the stream with `FAILURE_MESSAGE_TOO_LARGE`",
    told: "`Capabilities.max_message_bytes`, in `Offer` and `Accepted`",
  },
  {
    what: "the reason of a reset or a `Reject`",
    value: bytes(maxReasonBytes),
    enforcedBy: "whoever writes it, and the relay for `Reject`",
    beyond: "it is cut",
    told: "`Reset.reason`",
  },
  {
    what: "the capabilities of an `Open`, encoded",
    value: bytes(maxCapabilitiesBytes),
    enforcedBy: "the relay",
    beyond: `the call ends with ${tooLarge}`,
    told: "`Capabilities`",
  },
  {
    what: "a packet without data, encoded",
    value: bytes(maxOtherPacketBytes),
    enforcedBy: "both sides of a link over a WebSocket",
    beyond: "the WebSocket is closed, by the relay with 1009",
    told: "`Packet`",
  },
  {
    what: "an RPC message of `RelayService`",
    value: `\`Limits.max_frame_bytes\` and ${bytes(legOverheadBytes)}`,
    enforcedBy: "the relay",
    beyond: "on a leg as for a frame; elsewhere the RPC library refuses it with `resource_exhausted` and no detail",
    told: notTold,
  },
  {
    what: "names in one answer to `List`",
    value: grouped(maxNamesPerPage),
    enforcedBy: "the relay",
    beyond: "the rest is on the next page",
    told: "`ListRequest.page_size`",
  },
  {
    what: "the data of one packet",
    value: bytes(maxPacketBytes),
    enforcedBy: "both sides of a link",
    beyond: `the channel is reset with ${tooLarge}`,
    told: "`LinkOpened.max_packet_bytes`",
  },
  {
    what: "the data of all packets of one `Send`",
    value: bytes(maxSendBytes),
    enforcedBy: "the relay",
    beyond: `\`Send\` fails with ${tooLarge} and takes nothing; above twice as much the RPC library refuses it with \`resource_exhausted\` and no detail`,
    told: "`LinkOpened.max_batch_bytes`",
  },
  {
    what: "the data of all packets of one message of a WebSocket",
    value: bytes(maxSocketBatchBytes),
    enforcedBy: "nobody: it keeps what comes after it from waiting",
    beyond: "",
    told: "`LinkOpened.max_batch_bytes`",
  },
  {
    what: "a message of a WebSocket, all in all",
    value: `twice as much: ${bytes(maxSocketMessageBytes)}`,
    enforcedBy: "the relay",
    beyond: "the WebSocket is closed with 1009",
    told: notTold,
  },
  {
    what: "the fragments of one message of a WebSocket, and the pieces in which the network brings one of its frames",
    value: `${grouped(maxFragments)}, and ${grouped(maxBufferedChunks)}`,
    enforcedBy: "the relay",
    beyond: "the WebSocket is closed with 1008",
    told: notTold,
  },
  {
    what: "the packets of one `Send`, or all fields of one message of a WebSocket",
    value: `a ${packetOverheadBytes}th of \`LinkOpened.max_batch_bytes\`: ${grouped(maxSendBytes / packetOverheadBytes)}, or ${grouped(maxSocketBatchBytes / packetOverheadBytes)}`,
    enforcedBy: "the relay",
    beyond: `\`Send\` fails with ${tooLarge} and takes nothing, the WebSocket is closed with 1009`,
    told: "`LinkOpened.max_batch_bytes`",
  },
  {
    what: "the headers of a channel's `request`, and the trailers of an `end`",
    value: `${grouped(maxHeadBytes)} characters of names and values, of which each header takes ${headerOverheadBytes} beside its own`,
    enforcedBy: "the relay; for trailers, both sides of a link",
    beyond: `the channel is reset with ${tooLarge}`,
    told: "`ChannelRequest.headers`, `ChannelEnd.trailers`",
  },
  {
    what: "data on each direction of a channel before the first grant",
    value: bytes(channelWindowBytes),
    enforcedBy: "both sides of a link",
    beyond: "the channel is reset with `FAILURE_CREDIT_EXCEEDED`",
    told: "`Packet.credit`",
  },
  {
    what: "data that waits to be read on each direction of a channel, which is how far a grant reaches ahead",
    value: `${bytes(channelWindowBytes)} at first, twice as much with each grant while the reader keeps up, up to ${bytes(maxChannelWindowBytes)}`,
    enforcedBy: "each side of a link, if it is this project's own",
    beyond: "",
    told: "`Packet.credit`",
  },
  {
    what: "what the windows of all channels of a link may grow by, on each side",
    value: bytes(maxWidenedBytes),
    enforcedBy: "each side of a link, if it is this project's own",
    beyond: "they grow no more",
    told: notTold,
  },
  {
    what: "packets that wait to be sent because the other side of the link does not read",
    value: bytes(maxOutboxBytes),
    enforcedBy: "both sides of a link",
    beyond: `the link ends with ${limitReached}; only packets without credit, such as resets, can come to so much`,
    told: notTold,
  },
  {
    what: "the same, beyond which a client opens no channels",
    value: bytes(maxRequestsBytes),
    enforcedBy: "the client, if it is this project's own",
    beyond: `its call fails with ${limitReached} of \`HOP_CALLER\``,
    told: notTold,
  },
  {
    what: "pings that were not answered",
    value: grouped(maxPings),
    enforcedBy: "each side of a link, if it is this project's own, which sends them",
    beyond: `the link ends with ${limitReached}`,
    told: notTold,
  },
];
