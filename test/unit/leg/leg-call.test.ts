import { create, toBinary } from "@bufbuild/protobuf";
import { Code, ConnectError } from "@connectrpc/connect";
import { contentTypeStreamProto, endStreamFlag } from "@connectrpc/connect/protocol-connect";
import { expect, test } from "vitest";
import { Failure, Hop } from "../../../gen/streamserver/v1/failure_pb.js";
import { ChannelResponseSchema } from "../../../gen/streamserver/v1/link_pb.js";
import { ConnectResponseSchema } from "../../../gen/streamserver/v1/relay_pb.js";
import { envelope } from "../../../leg/envelope.js";
import { callLeg } from "../../../leg/leg-call.js";
import { createChannelClient } from "../../../link/channel-client.js";
import { LinkWatch } from "../../../link/link-watch.js";
import { rawCodec } from "../../../stream/codec.js";
import { openStream } from "../../../web/api/stream-client.js";
import { createLinkTransport } from "../../../web/transport/link-transport.js";
import { FakeClock } from "../../fakes/fake-clock.js";
import { joinedLinks } from "../../fakes/links.js";
import { rejection, settled } from "../../fakes/outcome.js";

interface Answer {
  status?: number;
  type?: string;
  body?: Uint8Array[];
}

/** Calls a leg of a relay that answers so. What was heard of it, and what the call threw. */
async function call({ status = 200, type = contentTypeStreamProto, body = [] }: Answer) {
  const headers = [{ name: "content-type", value: type }];
  const links = joinedLinks(async (channel) => {
    channel.respond(create(ChannelResponseSchema, { status, headers }));
    await channel.send(body);
    channel.endResponse([]);
  });
  const request = createChannelClient(async () => links[0]);
  const client = { baseUrl: "http://link", request, takesParts: true };
  const { signal } = new AbortController();
  const heard: (string | undefined)[] = [];
  let error: unknown;
  try {
    for await (const { message } of await callLeg(client, "connect", requests(), signal)) {
      heard.push(message.case);
    }
  } catch (reason) {
    error = reason;
  }
  await settled();
  expect(links.map(({ size }) => size)).toEqual([0, 0]);
  return { heard, error };
}

async function* requests(): AsyncGenerator<never> {}

const opened = toBinary(
  ConnectResponseSchema,
  create(ConnectResponseSchema, { message: { case: "opened", value: {} } }),
);
const good = envelope(0, opened);
const end = (json: unknown) => envelope(endStreamFlag, new TextEncoder().encode(JSON.stringify(json)));

test("a leg that ends well throws nothing", async () => {
  expect(await call({ body: [good, end({})] })).toEqual({ heard: ["opened"], error: undefined });
});

test.each<[string, Code, Answer, number]>([
  ["a status that is an error", Code.Unavailable, { status: 503, body: [good, end({})] }, 0],
  ["a status that knows no leg", Code.Unimplemented, { status: 404, body: [good, end({})] }, 0],
  ["a page", Code.Unknown, { type: "text/html", body: [good, end({})] }, 0],
  ["another format", Code.Internal, { type: "application/connect+json", body: [good, end({})] }, 0],
  ["a compressed message", Code.Internal, { body: [good, envelope(1, opened), end({})] }, 1],
  ["flags that nobody knows", Code.Internal, { body: [good, envelope(4, opened), end({})] }, 1],
  ["bytes that are no message", Code.Internal, { body: [good, envelope(0, new Uint8Array([255])), end({})] }, 1],
  ["an end that is none", Code.Unknown, { body: [good, envelope(endStreamFlag, opened)] }, 1],
  ["an error", Code.NotFound, { body: [good, end({ error: { code: "not_found" } })] }, 1],
  ["nothing", Code.Unavailable, {}, 0],
  ["no end", Code.Unavailable, { body: [good] }, 1],
  ["half a message", Code.Unavailable, { body: [good, good.subarray(0, 6)] }, 1],
])("an answer with %s throws the code %i", async (_what, code, answer, messages) => {
  const { heard, error } = await call(answer);
  expect(error).toBeInstanceOf(ConnectError);
  expect(error).toMatchObject({ code });
  expect(heard).toHaveLength(messages);
});

test("a stream whose relay breaks the rules fails, and leaves no channel open", async () => {
  const headers = [{ name: "content-type", value: contentTypeStreamProto }];
  const links = joinedLinks((channel) => {
    channel.respond(create(ChannelResponseSchema, { status: 200, headers }));
    void channel.send([good, envelope(4, opened)]);
  });
  const clock = new FakeClock();
  const watch = new LinkWatch(links[0], clock, 15_000);
  const transport = createLinkTransport(async () => ({ kind: "websocket", link: links[0], watch }), clock);
  const stream = openStream({
    transport: async () => transport,
    codec: rawCodec,
    name: "room",
    clock,
    onUnheard: () => {},
  });
  expect(await rejection(stream.closed)).toMatchObject({ failure: Failure.LEG_LOST, hop: Hop.RELAY });
  await settled();
  expect(links.map(({ size }) => size)).toEqual([0, 0]);
});
