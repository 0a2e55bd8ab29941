import { create, type MessageInitShape } from "@bufbuild/protobuf";
import { Code, ConnectError, createRouterTransport, type Transport } from "@connectrpc/connect";
import { expect, test } from "vitest";
import { Failure, Hop } from "../../gen/streamserver/v1/failure_pb.js";
import { LinkOpenedSchema, LinkService, type SendRequest } from "../../gen/streamserver/v1/link_pb.js";
import { Deferred } from "../../stream/deferred.js";
import { StreamError } from "../../stream/stream-error.js";
import { openFetchLink } from "../../web/fetch-link.js";
import { FakeClock } from "../fakes/fake-clock.js";
import { body, request } from "../fakes/links.js";
import { settled } from "../fakes/outcome.js";

const maxPacketBytes = 16_384;
const limits: MessageInitShape<typeof LinkOpenedSchema> = {
  maxChannels: 100,
  maxPacketBytes,
  maxBatchBytes: 1_048_576,
  heartbeatIntervalMs: 15_000,
};

/** A relay of which only the link's own calls are there, and what it takes for each Send. */
function fakeRelay(take: (batch: SendRequest) => Promise<void> | void): Transport {
  return createRouterTransport((router) => {
    router.service(LinkService, {
      async *receive(_request, { signal }) {
        yield { opened: create(LinkOpenedSchema, limits) };
        await new Promise((resolve) => signal.addEventListener("abort", resolve));
      },
      async send(batch) {
        await take(batch);
        return {};
      },
    });
  });
}

const dataBytes = ({ packets }: SendRequest) =>
  packets.reduce((sum, { content }) => sum + (content.case === "data" ? content.value.byteLength : 0), 0);

test("batches grow while they are quick, and are small again after one that was slow", async () => {
  const clock = new FakeClock();
  const batches: SendRequest[] = [];
  let sendMs = 0;
  const relay = fakeRelay((batch) => {
    batches.push(batch);
    clock.advance(sendMs);
  });
  const { link } = await openFetchLink(relay, clock);
  const fill = async () => {
    for (let opened = 0; opened < 8; opened++) {
      void link
        .open(request())
        .send(body(maxPacketBytes, 16))
        .catch(() => {});
    }
    await settled();
    return batches.splice(0).map(dataBytes);
  };
  const quick = await fill();
  expect(quick[1]).toBeLessThanOrEqual(2 * maxPacketBytes);
  expect(Math.max(...quick)).toBeGreaterThan(8 * maxPacketBytes);
  sendMs = 1_001;
  const [, ...slow] = await fill();
  expect(slow.length).toBeGreaterThan(10);
  expect(Math.max(...slow)).toBeLessThanOrEqual(maxPacketBytes);
  link.close(new StreamError("over"));
});

test("where nothing is answered beside Receive, the link ends and says what the browser lacks", async () => {
  const timeoutsMs: (number | undefined)[] = [];
  const relay = fakeRelay(() => {});
  const crowded: Transport = {
    stream: relay.stream,
    unary: (_method, _signal, timeoutMs) => {
      timeoutsMs.push(timeoutMs);
      return Promise.reject(new ConnectError("too late", Code.DeadlineExceeded));
    },
  };
  const { link } = await openFetchLink(crowded, new FakeClock());
  link.open(request());
  expect(await link.closed).toMatchObject({
    code: Code.ResourceExhausted,
    failure: Failure.LIMIT_REACHED,
    hop: Hop.CALLER,
  });
  expect(timeoutsMs).toEqual([5_000]);
});

test("a later Send that gets no answer in time is sent again under its number", async () => {
  const clock = new FakeClock();
  const sequences: bigint[] = [];
  const taken = new Deferred<void>();
  const relay = fakeRelay(({ sequence }) => {
    sequences.push(sequence);
    if (sequences.length === 2) throw new ConnectError("too late", Code.DeadlineExceeded);
    if (sequences.length === 3) taken.resolve();
  });
  const { link } = await openFetchLink(relay, clock);
  const channel = link.open(request());
  await settled();
  await channel.send(body(10));
  await settled();
  clock.advance(100);
  await taken.promise;
  expect(sequences).toEqual([1n, 2n, 2n]);
  expect(link.isOpen).toBe(true);
  link.closeIfIdle();
});
