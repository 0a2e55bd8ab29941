import { Code } from "@connectrpc/connect";
import { expect, test } from "vitest";
import { Failure } from "../../../gen/streamserver/v1/failure_pb.js";
import type { Packet } from "../../../gen/streamserver/v1/link_pb.js";
import type { Channel } from "../../../link/channel/channel.js";
import { ChannelBodies } from "../../../link/channel/channel-bodies.js";
import { channelWindowBytes } from "../../../link/channel/channel-inbox.js";
import { StreamError } from "../../../stream/error/stream-error.js";
import { Deferred } from "../../../stream/platform/deferred.js";
import { body, bytesOf, loneLink, loneRelayLink, maxPacketBytes, packet, request } from "../../fakes/links.js";
import { rejection, settled } from "../../fakes/outcome.js";

const opening = (channel: number) => packet({ channel, content: { case: "request", value: request() } });
const data = (channel: number, bytes: number) =>
  packet({ channel, content: { case: "data", value: new Uint8Array(bytes) } });
const end = (channel: number, ...trailers: string[]) =>
  packet({ channel, content: { case: "end", value: { trailers: trailers.map((name) => ({ name })) } } });
const reset = (channel: number) => packet({ channel, content: { case: "reset", value: { code: Code.Aborted } } });
const credit = (channel: number, value: bigint) => packet({ channel, content: { case: "credit", value } });
const response = (channel: number) => packet({ channel, content: { case: "response", value: { status: 200 } } });

/** The resets that were said: for which channel, and why. */
function resets(said: Packet[]): [number, Failure][] {
  return said.flatMap(({ channel, content }) =>
    content.case === "reset" ? [[channel, content.value.failure] as [number, Failure]] : [],
  );
}

const { CHANNEL_INVALID, CREDIT_EXCEEDED, FRAME_TOO_LARGE, PROTOCOL_VIOLATION, LIMIT_REACHED } = Failure;

const broken: { rule: string; packets: Packet[]; answer: [number, Failure][] }[] = [
  { rule: "data for a channel that never was", packets: [data(9, 1)], answer: [[9, CHANNEL_INVALID]] },
  { rule: "an end for a channel that never was", packets: [end(9)], answer: [[9, CHANNEL_INVALID]] },
  { rule: "a channel opened twice", packets: [opening(1)], answer: [[1, CHANNEL_INVALID]] },
  { rule: "a channel opened below one that was", packets: [opening(5), opening(3)], answer: [[3, CHANNEL_INVALID]] },
  { rule: "a packet that is too large", packets: [data(1, maxPacketBytes + 1)], answer: [[1, FRAME_TOO_LARGE]] },
  {
    rule: "data beyond the credit",
    packets: [data(1, maxPacketBytes), data(1, channelWindowBytes - maxPacketBytes), data(1, 1)],
    answer: [[1, CREDIT_EXCEEDED]],
  },
  { rule: "data after the end", packets: [end(1), data(1, 1)], answer: [[1, PROTOCOL_VIOLATION]] },
  { rule: "an end with a trailer that is none", packets: [end(1, "not a name")], answer: [[1, PROTOCOL_VIOLATION]] },
  { rule: "an end after the end", packets: [end(1), end(1)], answer: [[1, PROTOCOL_VIOLATION]] },
  { rule: "trailers that are too large", packets: [end(1, "x".repeat(16_353))], answer: [[1, FRAME_TOO_LARGE]] },
  { rule: "an answer from the client", packets: [response(1)], answer: [[1, PROTOCOL_VIOLATION]] },
];

test.each(broken)("$rule is answered with a reset of that channel only", async ({ packets, answer }) => {
  const { link, said, opened } = loneRelayLink();
  link.receive(opening(1));
  link.receive(opening(2));
  for (const next of packets) link.receive(next);
  await settled();
  expect(resets(said)).toEqual(answer);
  const bodies = new ChannelBodies(opened[1] as Channel);
  expect(bodies.signal.aborted).toBe(false);
  link.receive(data(2, 10));
  expect((await bodies.received().next()).value).toHaveLength(10);
});

const kept: { rule: string; packets: Packet[] }[] = [
  { rule: "a reset for a channel that never was", packets: [reset(9)] },
  { rule: "credit that was granted before", packets: [credit(1, 1n), credit(1, 300_000n), credit(1, 300_000n)] },
  { rule: "a request on the number of the link itself", packets: [opening(0)] },
  { rule: "empty data", packets: [data(1, 0)] },
  { rule: "a packet of a kind that nobody knows yet", packets: [packet({ channel: 1 })] },
  { rule: "all of the first credit", packets: [data(1, maxPacketBytes), data(1, channelWindowBytes - maxPacketBytes)] },
  { rule: "what comes for a channel that was reset", packets: [reset(1), data(1, 1), end(1), reset(1), credit(1, 1n)] },
];

test.each(kept)("$rule is answered with nothing", async ({ packets }) => {
  const { link, said } = loneRelayLink();
  link.receive(opening(1));
  for (const next of packets) link.receive(next);
  await settled();
  expect(said).toEqual([]);
});

test("what comes for a channel that was answered is ignored, and opening it again is not", async () => {
  const { link, said, opened } = loneRelayLink();
  link.receive(opening(1));
  opened[0]?.end();
  for (const late of [data(1, 1), end(1), credit(1, 1n)]) link.receive(late);
  await settled();
  expect(resets(said)).toEqual([]);
  link.receive(opening(1));
  await settled();
  expect(resets(said)).toEqual([[1, CHANNEL_INVALID]]);
  expect(opened).toHaveLength(1);
});

test("one channel too many is refused, and the others go on", async () => {
  const { link, said, opened } = loneRelayLink({ maxChannels: 2 });
  for (const channel of [1, 2, 3]) link.receive(opening(channel));
  link.receive(data(3, 1));
  await settled();
  expect(resets(said)).toEqual([[3, LIMIT_REACHED]]);
  expect(link.size).toBe(2);
  opened[0]?.reset(new StreamError("enough"));
  link.receive(opening(4));
  expect(link.size).toBe(2);
  expect(opened.map(({ id }) => id)).toEqual([1, 2, 4]);
});

test.each([
  ["headers of nothing but their number", Array(513).fill({}), FRAME_TOO_LARGE],
  ["as many as there may be", Array(512).fill({}), undefined],
  ["one that is large", [{ name: "x".repeat(16_353) }], FRAME_TOO_LARGE],
  ["one that is as large as may be", [{ name: "x".repeat(16_352) }], undefined],
])("of a request with %s", async (_, headers, failure) => {
  const { link, said } = loneRelayLink();
  link.receive(packet({ channel: 1, content: { case: "request", value: { headers } } }));
  await settled();
  expect(resets(said)).toEqual(failure === undefined ? [] : [[1, failure]]);
});

test("a channel whose handler goes on after its reset counts for another one", async () => {
  const maxChannels = 2;
  const handlers: Deferred<void>[] = [];
  const onRequest = () => {
    const handler = new Deferred<void>();
    handlers.push(handler);
    return handler.promise;
  };
  const { link, said } = loneLink({ maxChannels, onRequest });
  const flood = (from: number, to: number) => {
    for (let channel = from; channel <= to; channel++) for (const one of [opening, reset]) link.receive(one(channel));
  };
  flood(1, 2 * maxChannels + 1);
  await settled();
  expect(handlers).toHaveLength(2 * maxChannels);
  expect(resets(said)).toEqual([[2 * maxChannels + 1, LIMIT_REACHED]]);
  handlers[0]?.resolve();
  handlers[1]?.resolve();
  await settled();
  flood(10, 19);
  expect(handlers).toHaveLength(2 * maxChannels + 2);
});

test.each([
  ["data before the answer", [data(1, 1)]],
  ["an end before the answer", [end(1)]],
  ["a second answer", [response(1), response(1)]],
])("%s resets the channel of a client", async (_, packets) => {
  const { link, said } = loneLink();
  const channel = link.open(request());
  const other = link.open(request());
  for (const next of packets) link.receive(next);
  await settled();
  expect(resets(said)).toEqual([[1, PROTOCOL_VIOLATION]]);
  expect((await rejection(bytesOf(new ChannelBodies(channel).received()))).failure).toBe(PROTOCOL_VIOLATION);
  expect(new ChannelBodies(other).signal.aborted).toBe(false);
});

test("nobody opens channels from the relay's side", async () => {
  const { link, said } = loneLink();
  link.receive(opening(1));
  await settled();
  expect(resets(said)).toEqual([[1, CHANNEL_INVALID]]);
  expect(link.size).toBe(0);
});

test("a reset from the other side is known by its code; one that is none is unknown", async () => {
  const { link } = loneLink();
  const [first, second] = [link.open(request()), link.open(request())];
  link.receive(reset(1));
  link.receive(packet({ channel: 2, content: { case: "reset", value: { code: 99 } } }));
  expect((await rejection(first.response.promise)).code).toBe(Code.Aborted);
  expect((await rejection(second.response.promise)).code).toBe(Code.Unknown);
});

test("a link that closed takes nothing and says nothing", async () => {
  const { link, said, opened } = loneRelayLink();
  link.close(new StreamError("cut"));
  link.receive(opening(1));
  link.receive(packet({ content: { case: "ping", value: {} } }));
  await settled();
  expect(said).toEqual([]);
  expect(opened).toEqual([]);
});

test("credit that comes late takes nothing back", async () => {
  const { link } = loneLink();
  const channel = link.open(request());
  const sent = new ChannelBodies(channel).send(body(channelWindowBytes + 1_000));
  await settled();
  for (const offset of [400_000n, 1n]) link.receive(credit(channel.id, offset));
  await sent;
});

const creditsIn = (said: Packet[]) =>
  said.flatMap(({ content }) => (content.case === "credit" ? [Number(content.value)] : []));

test("reading grants as much again, and not for every packet", async () => {
  const { link, said, opened } = loneRelayLink();
  link.receive(opening(1));
  const body = new ChannelBodies(opened[0] as Channel).received();
  // Always one behind: a reader that keeps up is granted more.
  link.receive(data(1, channelWindowBytes / 4));
  for (let at = 0; at < 4; at++) {
    link.receive(data(1, channelWindowBytes / 4));
    await body.next();
  }
  await settled();
  expect(creditsIn(said)).toEqual([channelWindowBytes * 1.5, channelWindowBytes * 2]);
});

test("a reader that keeps up is granted up to 1 MiB ahead, as far as the link's 16 MiB for that go", async () => {
  const { link, said, opened } = loneRelayLink();
  const windowOf = async (channel: number): Promise<number> => {
    link.receive(opening(channel));
    const body = new ChannelBodies(opened.at(-1) as Channel).received();
    const from = said.length;
    let windowBytes = channelWindowBytes;
    let seen = 0;
    for (let readBytes = maxPacketBytes; readBytes < 3_145_728; readBytes += maxPacketBytes) {
      link.receive(data(channel, maxPacketBytes));
      await body.next();
      await settled();
      const credits = creditsIn(said.slice(from));
      if (credits.length > seen) windowBytes = (credits.at(-1) ?? 0) - readBytes;
      seen = credits.length;
    }
    return windowBytes;
  };
  for (let channel = 1; channel <= 21; channel++) expect(await windowOf(channel)).toBe(1_048_576);
  expect(await windowOf(22)).toBe(2 * channelWindowBytes);
  opened[0]?.reset(new StreamError("enough"));
  expect(await windowOf(23)).toBe(1_048_576);
  opened[1]?.end();
  expect(await windowOf(24)).toBe(1_048_576);
});
