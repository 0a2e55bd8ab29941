import { create } from "@bufbuild/protobuf";
import { expect, test } from "vitest";
import { Failure, Hop } from "../../../gen/streamserver/v1/failure_pb.js";
import { ChannelResponseSchema, HeaderSchema } from "../../../gen/streamserver/v1/link_pb.js";
import type { Channel } from "../../../link/channel/channel.js";
import { ChannelBodies } from "../../../link/channel/channel-bodies.js";
import type { Link } from "../../../link/link.js";
import { PeerLink } from "../../../link/peer-link.js";
import { bytesOf, maxPacketBytes, type OnRequest, packet, packetBatches, request } from "../../fakes/links.js";
import { rejection, settled } from "../../fakes/outcome.js";

const onRequest: OnRequest = async (channel, { path }) => {
  const bodies = new ChannelBodies(channel);
  channel.respond(create(ChannelResponseSchema, { status: 200 }));
  await bodies.send([new TextEncoder().encode(`${path} of ${channel.id}`)]);
  channel.end();
};

const peer = (numbers: "odd" | "even", maxChannels = 8) =>
  new PeerLink({ numbers, maxChannels, maxPacketBytes, maxHeadBytes: 1_000, onRequest });

function joinedPeers(): [PeerLink, PeerLink] {
  const carry = async (from: Link, to: Link) => {
    for await (const batch of packetBatches(from, 1_000_000)) for (const next of batch) to.receive(next);
  };
  const peers: [PeerLink, PeerLink] = [peer("odd"), peer("even")];
  void carry(...peers);
  void carry(peers[1], peers[0]);
  return peers;
}

async function answerTo(channel: Channel): Promise<string> {
  const bodies = new ChannelBodies(channel);
  channel.end();
  await channel.response.promise;
  return new TextDecoder().decode(await bytesOf(bodies.received()));
}

test("PeerLink.open: either end opens channels at once, with numbers of its own, and the other serves them", async () => {
  const [odd, even] = joinedPeers();
  const channels = [
    odd.open(request("/a")),
    even.open(request("/b")),
    odd.open(request("/c")),
    even.open(request("/d")),
  ];
  expect(await Promise.all(channels.map(answerTo))).toEqual(["/a of 1", "/b of 2", "/c of 3", "/d of 4"]);
  await settled();
  expect([odd.size, even.size]).toEqual([0, 0]);
});

test.each([
  ["with a number of this end", 1, Failure.CHANNEL_INVALID],
  ["with a number that was used", 4, Failure.CHANNEL_INVALID],
])("PeerLink.receive refuses a request %s, and serves the next", async (_, channel, failure) => {
  const link = peer("odd");
  const said: unknown[] = [];
  void (async () => {
    for await (const batch of packetBatches(link, 1_000_000)) {
      for (const { channel, content } of batch) {
        said.push(content.case === "reset" ? [channel, "reset", content.value.failure] : [channel, content.case]);
      }
    }
  })();
  const opening = (channel: number) => packet({ channel, content: { case: "request", value: request() } });
  link.receive(opening(4));
  await settled();
  said.length = 0;
  link.receive(opening(channel));
  link.receive(opening(6));
  await settled();
  expect(said).toEqual([
    [channel, "reset", failure],
    [6, "response"],
    [6, "data"],
    [6, "end"],
  ]);
});

test("PeerLink.receive refuses a request whose head is larger than the link takes", async () => {
  const [odd] = joinedPeers();
  const headers = [create(HeaderSchema, { name: "x", value: "y".repeat(968) })];
  const channel = odd.open({ ...request(), headers });
  expect((await rejection(channel.response.promise)).failure).toBe(Failure.FRAME_TOO_LARGE);
});

test("PeerLink.receive of a reset of the whole link: its error is the peer's, whatever its failure says", async () => {
  const link = peer("odd");
  link.receive(packet({ content: { case: "reset", value: { reason: "words", failure: Failure.DRAINING } } }));
  expect(await link.closed).toMatchObject({ failure: Failure.DRAINING, hop: Hop.PEER });
});
