import type { MessageInitShape } from "@bufbuild/protobuf";
import { createClient } from "@connectrpc/connect";
import { createConnectTransport } from "@connectrpc/connect-web";
import { Code, Failure, StreamClient, StreamServer } from "browser-stream-server";
import { LinkService, type PacketSchema } from "browser-stream-server/gen";
import { afterAll, afterEach, beforeAll, describe, expect, test } from "vitest";
import { refusal, refused } from "../raw-calls.js";
import { holdsNothing, openRelay, type TestRelay } from "../relay-ports.js";

let relay: TestRelay;

beforeAll(async () => {
  relay = await openRelay({ limits: { maxLinks: 2, maxChannelsPerLink: 3 } });
});

afterEach(() => holdsNothing(relay));
afterAll(() => relay.close());

const client = ({ url }: TestRelay = relay) =>
  createClient(LinkService, createConnectTransport({ baseUrl: url, useBinaryFormat: true }));

type PacketInit = MessageInitShape<typeof PacketSchema>;

/** A link by hand, which answers no pings unless it is told to. */
async function openLink(at: TestRelay = relay) {
  const abort = new AbortController();
  const responses = client(at).receive({}, { signal: abort.signal })[Symbol.asyncIterator]();
  const { linkId, linkToken } = (await responses.next()).value?.opened ?? { linkId: "", linkToken: "" };
  return {
    linkId,
    linkToken,
    send: (sequence: bigint, packets: PacketInit[] = []) => client(at).send({ linkId, linkToken, sequence, packets }),
    /** The failure that the relay resets a channel with. */
    async reset(channel: number): Promise<Failure> {
      for (;;) {
        const { done, value } = await responses.next();
        if (done) throw new Error("the link ended");
        for (const packet of value.packets) {
          if (packet.channel === channel && packet.content.case === "reset") return packet.content.value.failure;
        }
      }
    },
    ended: async () => {
      for (;;) if ((await responses.next()).done) return;
    },
    close: () => abort.abort(),
  };
}

const listen = (channel: number): PacketInit => ({
  channel,
  content: {
    case: "request",
    value: {
      path: "/streamserver.v1.RelayService/Listen",
      headers: [{ name: "content-type", value: "application/connect+proto" }],
    },
  },
});
const data = (channel: number, dataBytes: number): PacketInit => ({
  channel,
  content: { case: "data", value: new Uint8Array(dataBytes) },
});

/** A call with bytes of the test's own for a body. */
async function post(
  rpc: string,
  type: string,
  body: Uint8Array<ArrayBuffer>,
): Promise<{ status: number; code: string; text: string }> {
  const url = `${relay.url}/streamserver.v1.${rpc}`;
  const response = await fetch(url, { method: "POST", headers: { "content-type": type }, body });
  const text = await response.text();
  return { status: response.status, code: /"code":"(\w+)"/.exec(text)?.[1] ?? "", text };
}

test("bytes that are no message, a name that is not UTF-8, and calls that are none", async () => {
  const garbage = new Uint8Array([255, 255, 255, 255]);
  const invalidName = new Uint8Array([0, 0, 0, 0, 4, 10, 2, 0xc3, 0x28]);
  const compressed = new Uint8Array([1, 0, 0, 0, 1, 10]);
  const invalid = { code: "invalid_argument" };
  expect(await post("RelayService/Unlisten", "application/proto", garbage)).toMatchObject(invalid);
  expect(await post("RelayService/Listen", "application/connect+proto", invalidName)).toMatchObject(invalid);
  expect(await post("RelayService/Listen", "application/connect+proto", compressed)).toMatchObject(invalid);
  // The error of V8's JSON parser quotes half of a surrogate pair, and that of Protobuf's quotes all of a field.
  const halved = new Uint8Array([0, 0, 0, 0, 4, 0xf0, 0x9f, 0x98, 0x80]);
  expect(await post("RelayService/List", "application/grpc-web+json", halved)).toMatchObject({ status: 200 });
  const long = Buffer.from(JSON.stringify({ pageSize: "x".repeat(100_000) }));
  expect((await post("RelayService/List", "application/json", long)).text.length).toBeLessThan(2_000);
  expect((await post("RelayService/Nothing", "application/proto", garbage)).status).toBe(404);
  expect((await post("RelayService/Unlisten", "text/plain", garbage)).status).toBe(415);
});

test("a Send with another's token, to a link that ended, with a gap, or without a number", async () => {
  const [first, second] = [await openLink(), await openLink()];
  const tokenInvalid = refusal(Code.PermissionDenied, Failure.TOKEN_INVALID);
  const send = (linkId: string, linkToken: string) => client().send({ linkId, linkToken, sequence: 1n });
  expect(await refused(send(first.linkId, second.linkToken))).toEqual(tokenInvalid);
  expect(await refused(send(first.linkId, ""))).toEqual(tokenInvalid);
  expect(await refused(first.send(2n))).toEqual(refusal(Code.OutOfRange, Failure.SEQUENCE_GAP));
  expect(await refused(first.send(0n))).toEqual(refusal(Code.InvalidArgument, Failure.PROTOCOL_VIOLATION));
  await first.send(1n, [listen(1)]);
  await first.send(1n, [listen(1)]);
  expect(relay.proxy.counts.channels).toBe(1);
  const third = client().receive({});
  expect(await refused(third)).toEqual(refusal(Code.ResourceExhausted, Failure.LIMIT_REACHED));
  for (const { close } of [first, second]) close();
  await holdsNothing(relay);
  expect(await refused(first.send(2n))).toEqual(refusal(Code.NotFound, Failure.LINK_GONE));
});

test.each([
  ["for a channel that never was", [data(9, 1)], 9, Failure.CHANNEL_INVALID],
  ["that opens a channel twice", [listen(3), listen(3)], 3, Failure.CHANNEL_INVALID],
  [
    "beyond the channel's credit",
    [listen(3), data(3, 131_072), data(3, 131_072), data(3, 1)],
    3,
    Failure.CREDIT_EXCEEDED,
  ],
  ["that is too large", [listen(3), data(3, 212_993)], 3, Failure.FRAME_TOO_LARGE],
  ["for one channel too many", [listen(3), listen(4), listen(5)], 5, Failure.LIMIT_REACHED],
])("a packet %s resets its channel, and no other", async (_, packets, channel, failure) => {
  const link = await openLink();
  await link.send(1n, [listen(2)]);
  await link.send(2n, packets);
  expect(await link.reset(channel)).toBe(failure);
  expect(relay.proxy.counts.channels).toBeGreaterThanOrEqual(1);
  link.close();
});

describe("at a relay with a quick heart", () => {
  const heartbeatIntervalMs = 50;
  let quick: TestRelay;

  beforeAll(async () => {
    quick = await openRelay({ limits: { heartbeatIntervalMs } });
  });

  afterAll(() => quick.close());

  test("a link that answers no ping is dropped", async () => {
    const link = await openLink(quick);
    await expect(link.ended()).rejects.toMatchObject({ code: Code.Unavailable });
  });

  test("a link of the package's own answers, and stays", async () => {
    const transport = createConnectTransport({ baseUrl: quick.url });
    const server = StreamServer(transport, (stream) => stream.pipe(stream)).listen("stays");
    await server.ready;
    // The time that passes is longer than a silent link is kept.
    await new Promise((resolve) => setTimeout(resolve, 5 * heartbeatIntervalMs));
    const stream = StreamClient(transport).connect("stays");
    stream.end("still there");
    for await (const message of stream) expect(message).toBe("still there");
    await server.end();
  });
});
