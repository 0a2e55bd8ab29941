import { setFlagsFromString } from "node:v8";
import { runInNewContext } from "node:vm";
import { fromBinary } from "@bufbuild/protobuf";
import { StreamClient, StreamServer } from "browser-stream-server";
import { afterEach, beforeEach, expect, test } from "vitest";
import { Failure } from "../../../gen/streamserver/v1/failure_pb.js";
import type { Packet } from "../../../gen/streamserver/v1/link_pb.js";
import { ConnectRequestSchema } from "../../../gen/streamserver/v1/relay_pb.js";
import { dataOf, envelope } from "../../../leg/envelope.js";
import { EnvelopeReader } from "../../../leg/envelope-reader.js";
import { frameEnvelope } from "../../../leg/frame-envelope.js";
import { readFrameHead } from "../../../leg/frame-head.js";
import { readFrame } from "../../../leg/frame-reader.js";
import { Parts } from "../../../leg/parts.js";
import { frameFromWire } from "../../../leg/wire-frame.js";
import { decodeLinkMessage } from "../../../link/packet/link-message.js";
import { maxBatchBytes } from "../../../server/link/link-sockets.js";
import type { LiveLink } from "../../../server/link/links.js";
import type { Frame } from "../../../stream/endpoint/frame.js";
import { StreamError } from "../../../stream/error/stream-error.js";
import type { FakeClock } from "../../fakes/fake-clock.js";
import { costOf, frame, plainFrame } from "../../fakes/frames.js";
import { packet, packetBatches } from "../../fakes/links.js";
import { settled } from "../../fakes/outcome.js";
import { type LinkedRelay, newLinkedRelay } from "../../fakes/relay-links.js";
import { linkTraffic, mutatedMessage } from "../../fakes/traffic/link-traffic.js";
import { mutated, Random } from "../../fakes/traffic/mutations.js";
import { echoName } from "../../fakes/traffic/rpc-messages.js";

const seed = 20_120_406;
const mutants = 100_000;
/** After so many messages a link has met most of what it can meet, and the next one is opened. */
const messagesPerLink = 200;
const messagesPerTurn = 50;
const maxGrowthBytes = 16_777_216;

const { stackTraceLimit } = Error;
let relay: LinkedRelay;

beforeEach(() => {
  // Most mutants are refused with an error, and its stack would take most of the time.
  Error.stackTraceLimit = 0;
  relay = newLinkedRelay();
});

afterEach(() => {
  Error.stackTraceLimit = stackTraceLimit;
  relay.links.close(new StreamError("the test is over"));
});

/** What is in use, garbage apart. */
function usedBytes(): number {
  setFlagsFromString("--expose-gc");
  (runInNewContext("gc") as () => void)();
  const { heapUsed, arrayBuffers } = process.memoryUsage();
  return heapUsed + arrayBuffers;
}

/** The relay's end of a link whose client talks nonsense. */
class Victim {
  readonly live: LiveLink;
  messages = 0;
  #nextChannel = 1;
  #said: Packet[] = [];

  constructor(live: LiveLink) {
    this.live = live;
    void this.#read();
  }

  get isSpent(): boolean {
    return !this.live.link.isOpen || this.messages >= messagesPerLink;
  }

  /** Takes a message, if it is one. */
  take(random: Random): "taken" | "refused" {
    this.messages += 1;
    const bytes = mutatedMessage(linkTraffic(this.#nextChannel, random), random);
    this.#nextChannel += 1;
    this.live.watch.heard();
    try {
      const { packets } = decodeLinkMessage(bytes);
      for (const next of packets) this.live.link.receive(next);
      return "taken";
    } catch (reason) {
      if (!(reason instanceof StreamError)) throw reason;
      return "refused";
    }
  }

  async answersPing(): Promise<boolean> {
    if (!this.live.link.isOpen) return true;
    await settled();
    this.#said = [];
    this.live.link.receive(packet({ content: { case: "ping", value: {} } }));
    await settled();
    return this.#said.some(({ content }) => content.case === "pong");
  }

  async #read(): Promise<void> {
    for await (const batch of packetBatches(this.live.link, maxBatchBytes)) this.#said.push(...batch);
  }
}

test("100,000 mutated messages of links do a relay no harm", { timeout: 60_000 }, async () => {
  const clock = relay.relay.clock as FakeClock;
  const transport = relay.transport();
  const server = StreamServer(transport, (stream) => stream.on("error", () => {}).pipe(stream)).listen(echoName);
  await server.ready;
  const counts = { taken: 0, refused: 0 };
  let victim = new Victim(relay.open());
  let usedBefore = 0;
  for (let at = 0; at < mutants; at += 1) {
    try {
      counts[victim.take(new Random(seed + at))] += 1;
    } catch (cause) {
      throw new Error(`the message of seed ${seed + at} made the link throw`, { cause });
    }
    if (at % messagesPerTurn === 0) {
      expect(await victim.answersPing(), `after seed ${seed + at}`).toBe(true);
      clock.advance(1_000);
    }
    if (victim.isSpent) {
      expect(await victim.answersPing(), `after seed ${seed + at}`).toBe(true);
      victim.live.link.close(new StreamError("the next one"));
      victim = new Victim(relay.open());
    }
    if (at === mutants / 10) usedBefore = usedBytes();
  }
  expect(usedBytes() - usedBefore).toBeLessThan(maxGrowthBytes);
  // Else the mutations would be too coarse, or too mild.
  expect(counts.taken).toBeGreaterThan(mutants / 4);
  expect(counts.refused).toBeGreaterThan(mutants / 4);
  victim.live.link.close(new StreamError("the last one"));

  const stream = StreamClient(transport).connect(echoName);
  stream.end("still well");
  for await (const message of stream) expect(message).toBe("still well");
  await server.end();
  const { lingerTimeoutMs, graceMs } = relay.relay.limits;
  for (let leftMs = lingerTimeoutMs + graceMs; leftMs >= 0; leftMs -= 1_000) {
    clock.advance(1_000);
    await settled();
  }
  expect(relay.links.counts).toEqual({ links: 1, channels: 0 });
  expect(relay.relay.counts).toEqual({ leases: 0, offers: 0, streams: 0, legs: 0 });
});

/** A body of three messages, cut into chunks anywhere. */
function* inChunks(bytes: Uint8Array, random: Random): Generator<Uint8Array> {
  for (let from = 0; from < bytes.byteLength; ) {
    const to = Math.min(bytes.byteLength, from + 1 + random.below(40));
    yield bytes.subarray(from, to);
    from = to;
  }
}

test("a mutated body has envelopes that are the body, or fails as a stream does", { timeout: 60_000 }, () => {
  const failures = new Set<Failure>();
  let [whole, unfinished] = [0, 0];
  for (let at = 0; at < mutants; at += 1) {
    const random = new Random(seed + at);
    const wire = Buffer.concat([0, 1, 2].map((flags) => envelope(flags, random.bytes(random.pick([0, 1, 5, 30])))));
    const bytes = mutated(wire, random);
    const read: Uint8Array[] = [];
    try {
      const reader = new EnvelopeReader(300, (_flags, { joined }) => read.push(joined) > 0);
      for (const chunk of inChunks(bytes, random)) reader.push(chunk);
      if (reader.isWithinEnvelope) unfinished += 1;
      else whole += 1;
    } catch (reason) {
      if (!(reason instanceof StreamError)) throw reason;
      failures.add(reason.failure);
    }
    const joined = Buffer.concat(read);
    expect(joined.equals(bytes.subarray(0, joined.byteLength)), `of seed ${seed + at}`).toBe(true);
  }
  expect([...failures]).toEqual([Failure.FRAME_TOO_LARGE]);
  expect(whole).toBeGreaterThan(mutants / 10);
  expect(unfinished).toBeGreaterThan(mutants / 10);
});

test("whatever has the fields of a frame is one, with those fields", { timeout: 60_000 }, () => {
  const frames = [
    frame({ sequence: 1n, messages: [{ data: new Uint8Array(20) }, { data: new Uint8Array(3), text: true }] }),
    frame({ sequence: 300n, ack: 2n ** 40n, credit: 131_072n, messages: [{ data: new Uint8Array(200), more: true }] }),
    frame({ sequence: 7n, fin: true, messages: [{ text: true, more: true }] }),
    frame({ ack: 9n, credit: 2n ** 50n }),
    frame({ reset: { code: 10, reason: "why" } }),
  ].map((one) => dataOf(frameEnvelope(one)));
  let [read, heads] = [0, 0];
  for (let at = 0; at < mutants; at += 1) {
    const random = new Random(seed + at);
    const bytes = mutated(random.pick(frames), random);
    const received = new Parts([...inChunks(envelope(0, bytes), random)]);
    const [fields, head] = [readFrame(received), readFrameHead(received)];
    const decoded = decodedFrame(bytes);
    if (head !== undefined && decoded !== undefined) {
      heads += 1;
      const { sequence, ack, credit, fin, reset } = decoded;
      expect(head, `of seed ${seed + at}`).toMatchObject({ ack, fin, reset: reset !== undefined });
      expect([head.sequence, head.credit].map(counted), `of seed ${seed + at}`).toEqual(
        [sequence, credit].map(counted),
      );
      expect(head.costBytes, `of seed ${seed + at}`).toBeGreaterThanOrEqual(costOf(decoded));
    }
    if (fields === undefined) continue;
    read += 1;
    if (decoded === undefined) throw new Error(`the bytes of seed ${seed + at} have fields and cannot be decoded`);
    expect(plainFrame(decoded), `of seed ${seed + at}`).toEqual(fields);
    const { sequence, ack, credit, fin } = decoded;
    const expected = { sequence, ack, credit, costBytes: costOf(decoded), fin, reset: false };
    expect(head, `of seed ${seed + at}`).toEqual(expected);
  }
  expect(read).toBeGreaterThan(mutants / 20);
  expect(heads).toBeGreaterThan(read);
});

/** A number from 2^53 on is rounded in more ways than one. */
function counted(number: number): number {
  return Number.isSafeInteger(number) ? number : Number.POSITIVE_INFINITY;
}

function decodedFrame(bytes: Uint8Array): Frame | undefined {
  try {
    const { message } = fromBinary(ConnectRequestSchema, bytes);
    return message.case === "frame" ? frameFromWire(message.value) : undefined;
  } catch {
    return undefined;
  }
}
