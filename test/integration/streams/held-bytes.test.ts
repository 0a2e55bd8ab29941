import { Failure, type Stream, StreamClient, StreamError, StreamServer } from "browser-stream-server";
import { afterEach, expect, test } from "vitest";
import { relayOf } from "../../../server/stream-server-proxy.js";
import { openWay } from "../../chaos/carriers.js";
import { ChaosProxy } from "../../chaos/network/chaos-proxy.js";
import { openBystander } from "../bystander.js";
import { openRelay } from "../relay-ports.js";
import { standstill } from "../until.js";

const mebibyte = 1_048_576;
const maxHeldBytes = 8 * mebibyte;
/** More than the system's buffers and those of one stream take. */
const streamBytes = 3 * mebibyte;
const readers = 32;
const partBytes = 65_536;
/**
 * The relay looks between turns of the event loop, and the writer is in this process: in a turn it may write 0.5 MiB to
 * each stream, and the part that goes beyond. Without the limit the readers leave 40 MiB.
 */
const betweenLooksBytes = readers * (mebibyte / 2 + partBytes);

const closers: (() => unknown)[] = [];

afterEach(async () => {
  for (const close of closers.splice(0).reverse()) await close();
});

/** Listens, and writes so much to each client as fast as the stream takes it. Counts what it has written to all. */
async function openPourer(origin: string) {
  const poured = { bytes: 0, errors: [] as StreamError[] };
  const part = new Uint8Array(partBytes);
  const server = StreamServer(origin, async (stream) => {
    const writer = stream.writable.getWriter();
    try {
      for (let left = streamBytes; left > 0; left -= partBytes, poured.bytes += partBytes) await writer.write(part);
      await writer.close();
      for await (const _ of stream);
    } catch (error) {
      if (error instanceof StreamError) poured.errors.push(error);
    }
  }).listen("pourer");
  closers.push(() => server.end());
  await server.ready;
  return poured;
}

/** Reads a stream to its end. Resolves with the number of bytes, or the error. */
async function readAll(stream: Stream): Promise<number | StreamError> {
  let bytes = 0;
  try {
    for await (const part of stream) bytes += (part as Uint8Array).byteLength;
    stream.end();
    await stream.closed;
    return bytes;
  } catch (error) {
    return error as StreamError;
  }
}

test.each(["http2", "websocket", "fetch", "decoded"] as const)(
  "readers over %s whose network stands still leave maxHeldBytes in the relay at most, and hear which limit they met",
  async (carrier) => {
    const relay = await openRelay({ limits: { maxHeldBytes } });
    closers.push(() => relay.close());
    const { heldBytes } = relayOf(relay.proxy).admission;
    const bystander = await openBystander(relay);
    const poured = await openPourer(relay.origin);
    const network = await ChaosProxy.open(Number(new URL(relay.origin).port));
    closers.push(() => network.close());
    const way = openWay(carrier, network.origin);
    closers.push(() => way.close());
    const client = StreamClient(way.transport);
    const streams = Array.from({ length: readers }, () => client.connect("pourer"));
    for (const stream of streams) await stream.opened;
    network.begin("stall");
    let mostBytes = 0;
    const look = setInterval(() => {
      mostBytes = Math.max(mostBytes, heldBytes.bytes);
    }, 5);
    closers.push(() => clearInterval(look));
    const reading = Promise.all(streams.map(readAll));
    await standstill(() => poured.bytes);
    network.heal();
    const results = await reading;
    const isTold = ({ failure, limit }: StreamError) =>
      failure === Failure.LIMIT_REACHED && limit?.name === "maxHeldBytes" && limit.value === maxHeldBytes;
    const ended = results.filter((result) => typeof result !== "number");
    expect([ended.filter(isTold).length, poured.errors.filter(isTold).length]).toEqual([ended.length, ended.length]);
    expect(ended.length).toBeGreaterThan(0);
    // Nothing of the others is lost.
    const whole = results.filter((result) => result === streamBytes);
    expect(whole.length).toBe(readers - ended.length);
    expect(mostBytes).toBeLessThan(maxHeldBytes + betweenLooksBytes);
    await bystander.expectUndisturbed();
  },
);
