import { create, toBinary } from "@bufbuild/protobuf";
import { Code } from "@connectrpc/connect";
import { Failure } from "../../../gen/streamserver/v1/failure_pb.js";
import { type Packet, PacketSchema } from "../../../gen/streamserver/v1/link_pb.js";
import { ListRequestSchema } from "../../../gen/streamserver/v1/relay_pb.js";
import { createChannelHandler } from "../../../link/channel/channel-handler.js";
import { loneLink, packet } from "../../../test/fakes/links.js";
import { settled } from "../../../test/fakes/outcome.js";
import { newMemoryRelay } from "../../../test/fakes/relay-links.js";
import type { WireExample } from "./stream-examples.js";

function example(title: string, message: Packet): WireExample<typeof PacketSchema> {
  return { title, schema: PacketSchema, message };
}

/** The packets that a client sends for a `List` on the first channel of its link. */
export const requestPackets = {
  request: packet({
    channel: 1,
    content: {
      case: "request",
      value: {
        path: "/streamserver.v1.RelayService/List",
        headers: [{ name: "content-type", value: "application/proto" }],
      },
    },
  }),
  data: packet({
    channel: 1,
    content: { case: "data", value: toBinary(ListRequestSchema, create(ListRequestSchema, { prefix: "de" })) },
  }),
  end: packet({ channel: 1, content: { case: "end", value: {} } }),
};

/** The kinds of packets that are in no {@link requestPackets} and no response. */
export const otherPackets = {
  credit: packet({ channel: 1, content: { case: "credit", value: 393_216n } }),
  reset: packet({
    channel: 1,
    content: {
      case: "reset",
      value: { code: Code.Canceled, reason: "not needed any more", failure: Failure.UNSPECIFIED },
    },
  }),
  ping: packet({ content: { case: "ping", value: {} } }),
  pong: packet({ content: { case: "pong", value: {} } }),
};

/** The packets with which a relay answers {@link requestPackets}. */
export async function responsePackets(): Promise<Packet[]> {
  const { relay, handlers } = newMemoryRelay();
  relay.listen("demo", true);
  const { link, said } = loneLink({ onRequest: createChannelHandler(handlers) });
  for (const each of Object.values(requestPackets)) link.receive(each);
  while (link.size > 0) await settled();
  await settled();
  return said;
}

/** An example of every kind of packet. */
export async function linkExamples(): Promise<WireExample[]> {
  const [response, data, end] = await responsePackets();
  if (response === undefined || data === undefined || end === undefined) throw new Error("the relay did not answer");
  return [
    example("The client opens channel 1", requestPackets.request),
    example('The request\'s body, a `ListRequest` whose `prefix` is "de"', requestPackets.data),
    example("The request's end", requestPackets.end),
    example("The relay's response", response),
    example("The response's body, a `ListResponse` with one name", data),
    example("The response's end, which closes the channel", end),
    example("Credit, from either side", otherPackets.credit),
    example("A reset by the client, which cancels the RPC", otherPackets.reset),
    example("Ping", otherPackets.ping),
    example("Pong", otherPackets.pong),
  ];
}
