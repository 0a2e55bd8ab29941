import { create } from "@bufbuild/protobuf";
import { Code, ConnectError } from "@connectrpc/connect";
import { expect, test } from "vitest";
import { Failure, Hop } from "../../../../gen/streamserver/v1/failure_pb.js";
import { LinkOpenedSchema } from "../../../../gen/streamserver/v1/link_pb.js";
import { ChannelBodies } from "../../../../link/channel/channel-bodies.js";
import { toConnectError } from "../../../../stream/error/failure-detail.js";
import { StreamError } from "../../../../stream/error/stream-error.js";
import { type Batch, BatchSender, maxSentPacketBytes, type Send } from "../../../../web/link/batch-sender.js";
import { createLink } from "../../../../web/link/opened-link.js";
import { FakeClock } from "../../../fakes/fake-clock.js";
import { body, request } from "../../../fakes/links.js";
import { settled } from "../../../fakes/outcome.js";

const late = () => Promise.reject(new ConnectError("too late", Code.DeadlineExceeded));
const broken = (..._before: unknown[]) => Promise.reject(new ConnectError("no network", Code.Unknown));

/** A link whose batches the test takes, each as `answers` says, and the others at once. */
function sendingLink(
  options: {
    maxBatchBytes?: number;
    random?: number;
    answers?: (() => Promise<unknown>)[];
    mayLackConnection?: boolean;
  } = {},
) {
  const { maxBatchBytes = 1_048_576, random = 0, answers = [], mayLackConnection = true } = options;
  const opened = create(LinkOpenedSchema, {
    maxChannels: 100,
    maxPacketBytes: 212_992,
    maxBatchBytes,
    heartbeatIntervalMs: 60_000,
  });
  const clock = new FakeClock();
  const { link } = createLink(opened, clock, undefined, maxSentPacketBytes);
  const sent: { batch: Batch; timeoutMs: number }[] = [];
  const takes = { sendMs: 0 };
  const send: Send = async (batch, timeoutMs) => {
    sent.push({ batch, timeoutMs });
    clock.advance(takes.sendMs);
    await answers.shift()?.();
  };
  void new BatchSender(link, clock, send, () => random).run(opened, mayLackConnection);
  /** Sends so much on channels of its own; the data of each batch that takes. */
  const say = async (...sizes: number[]) => {
    const from = sent.length;
    for (const size of sizes) void new ChannelBodies(link.open(request())).send(body(size));
    await settled();
    return sent.slice(from).map(({ batch }) => dataBytes(batch));
  };
  return { link, clock, sent, takes, say };
}

const dataBytes = ({ packets }: Batch) =>
  packets.reduce((sum, { content }) => sum + (content.case === "data" ? content.value.byteLength : 0), 0);
const large = Array(20).fill(200_000);

test("batches grow while they are full and quick, up to a quarter of a mebibyte", async () => {
  const { say } = sendingLink();
  await say(1);
  const [first = 0, second = 0, ...rest] = await say(...large);
  expect(first).toBeLessThanOrEqual(32_768);
  expect(second).toBeLessThanOrEqual(65_536);
  expect(Math.max(...rest)).toBeGreaterThan(200_000);
  expect(Math.max(...rest)).toBeLessThanOrEqual(262_144);
});

test("batches grow to no more than the relay takes", async () => {
  const { say } = sendingLink({ maxBatchBytes: 100_000 });
  expect(Math.max(...(await say(...large)))).toBeLessThanOrEqual(100_000);
});

test("after a slow batch they are small again, and so is each of their packets", async () => {
  const { say, takes } = sendingLink();
  await say(...large);
  takes.sendMs = 1_001;
  const [, ...slow] = await say(...large);
  expect(slow.length).toBeGreaterThan(50);
  expect(Math.max(...slow)).toBeLessThanOrEqual(32_768);
});

test("quick batches of little tell nothing of large ones", async () => {
  const { say } = sendingLink();
  for (let at = 0; at < 10; at++) await say(10);
  const [first = 0] = await say(...large);
  expect(first).toBeLessThanOrEqual(32_768);
});

test.each([
  [0, 5_000],
  [0.5, 7_000],
  [1, 9_000],
])(
  "where nothing is answered beside Receive, the link ends and says what the browser lacks: %d",
  async (random, firstMs) => {
    const { link, sent } = sendingLink({ random, answers: [late, late] });
    link.open(request());
    expect(await link.closed).toMatchObject({
      code: Code.ResourceExhausted,
      failure: Failure.LIMIT_REACHED,
      hop: Hop.CALLER,
    });
    expect(sent.map(({ batch, timeoutMs }) => [batch.sequence, timeoutMs])).toEqual([
      [1n, firstMs],
      [1n, 4_000],
    ]);
  },
);

test("a first batch whose answer waits for a page that stood still is sent again at once, and others follow", async () => {
  const { link, sent, say } = sendingLink({ answers: [late] });
  await say(10);
  await say(10);
  expect(link.isOpen).toBe(true);
  expect(sent.slice(0, 3)).toMatchObject([
    { batch: { sequence: 1n }, timeoutMs: 5_000 },
    { batch: { sequence: 1n }, timeoutMs: 4_000 },
    { batch: { sequence: 2n }, timeoutMs: 15_000 },
  ]);
});

test.each([
  ["the first", 0],
  ["a later", 1],
])("%s batch that got lost is sent again under its number", async (_, at) => {
  const answers = [...Array(at).fill(() => Promise.resolve()), broken, broken];
  const { link, clock, sent, say } = sendingLink({ answers });
  await say(10);
  await say(10);
  clock.advance(100);
  await settled();
  clock.advance(400);
  await settled();
  expect(link.isOpen).toBe(true);
  const lost = BigInt(at + 1);
  expect(sent.filter(({ batch }) => batch.sequence === lost)).toHaveLength(3);
  expect(sent.at(-1)?.batch.sequence).toBeGreaterThan(lost);
});

test("a batch that gets lost again and again ends the link", async () => {
  const { link, clock } = sendingLink({ answers: Array(6).fill(broken) });
  link.open(request());
  for (const delayMs of [0, 100, 400, 1_600]) {
    await settled();
    expect(link.isOpen).toBe(true);
    clock.advance(delayMs);
  }
  expect(await link.closed).toMatchObject({ failure: Failure.LEG_LOST, hop: Hop.RELAY, code: Code.Unavailable });
});

test.each([
  [Failure.LIMIT_REACHED, "is final", { failure: Failure.LIMIT_REACHED }],
  [
    Failure.TOKEN_INVALID,
    "is the loss of the relay that opened the link",
    { failure: Failure.LEG_LOST, hop: Hop.RELAY },
  ],
])("BatchSender: the relay's own failure %s of the first batch %s", async (failure, _, told) => {
  const refused = () => Promise.reject(toConnectError(new StreamError("no", { failure })));
  const { link, sent } = sendingLink({ answers: [refused] });
  link.open(request());
  expect(await link.closed).toMatchObject(told);
  expect(sent).toHaveLength(1);
});

const taken = () => Promise.resolve();

test.each<[string, (end: () => void) => (() => Promise<unknown>)[]]>([
  ["while its first batch is sent", (end) => [() => broken(end())]],
  ["while a later batch is sent", (end) => [taken, () => broken(end())]],
  ["before a batch is sent again", (end) => [broken, () => broken(setImmediate(end))]],
])("a link that ends %s sends nothing more", async (_, answersOf) => {
  const answers = answersOf(() => link.close(new StreamError("over", { code: Code.Canceled })));
  const sends = answers.length;
  const { link, sent } = sendingLink({ answers });
  while (link.isOpen) {
    link.open(request());
    await settled();
  }
  await settled();
  expect(sent).toHaveLength(sends);
});

test("BatchSender waits for a relay that stands still as long for the first batch as for others, where no connection can lack", async () => {
  const { link, sent, clock } = sendingLink({ answers: [late, late], mayLackConnection: false });
  link.open(request());
  for (const delayMs of [100, 400]) {
    await settled();
    clock.advance(delayMs);
  }
  await settled();
  expect(sent.map(({ timeoutMs }) => timeoutMs)).toEqual([15_000, 15_000, 15_000]);
  expect(link.isOpen).toBe(true);
});
