import { createHash } from "node:crypto";
import type { Stream } from "browser-stream-server";
import { afterAll, afterEach, beforeAll, beforeEach, describe, expect, test } from "vitest";
import { bytesOf } from "../contract/bytes.js";
import { within } from "../engines/within.js";
import { openRelay, type TestRelay } from "../integration/relay-ports.js";
import type { Way } from "../integration/ways.js";
import { openPair, type Pair, pass } from "./pair.js";
import { proxies } from "./proxies.js";
import type { RunningProxy } from "./start-proxy.js";
import { trustTestCertificate } from "./trust.js";
import { prefixes } from "./ways.js";

const chunkBytes = 262_144;
const chunksPerMiB = 4;
const bulkTimeoutMs = 60_000;
/** A proxy that buffers holds bytes back for longer than this, or until there are more. */
const roundTripTimeoutMs = 5_000;

trustTestCertificate();

describe.each(Object.entries(proxies))("through %s", (_, { start, ways }) => {
  let relay: TestRelay;
  let proxy: RunningProxy;

  beforeAll(async () => {
    relay = await openRelay({ prefix: prefixes });
    proxy = await start(relay.origin);
  });

  afterAll(async () => {
    await proxy?.end();
    await relay?.close();
  });

  describe.each(Object.entries(ways))("over %s", (name, { kind, prefix, open }) => {
    let way: Way;
    let pair: Pair;

    beforeAll(() => {
      way = open(proxy.origin + prefix);
    });

    beforeEach(async () => {
      pair = await openPair(way.transport, name);
    });

    afterEach(() => pair?.end());
    afterAll(() => way?.close());

    test("64 MiB go through", { timeout: bulkTimeoutMs }, async () => {
      const { there, here } = pair;
      const [received] = await Promise.all([receive(here), send(there, 64)]);
      expect(received).toEqual(hashOf(64));
    });

    test("16 MiB go through each way at once", { timeout: bulkTimeoutMs }, async () => {
      const { there, here } = pair;
      const received = await Promise.all([receive(here), receive(there), send(here, 16), send(there, 16)]);
      expect(received.slice(0, 2)).toEqual([hashOf(16), hashOf(16)]);
    });

    test("small messages arrive at once", async () => {
      const { there, here } = pair;
      const pingPong = async () => {
        for (let n = 0; n < 20; n++) {
          expect(await pass(there, here, `ping ${n}`)).toBe(`ping ${n}`);
          expect(await pass(here, there, `pong ${n}`)).toBe(`pong ${n}`);
        }
      };
      await within(roundTripTimeoutMs, "20 round trips", pingPong());
      expect([there.transport, here.transport]).toEqual([kind, kind]);
    });
  });
});

function* chunks(countMiB: number): Generator<Uint8Array<ArrayBuffer>> {
  const chunk = bytesOf(1, chunkBytes);
  for (let n = 0; n < countMiB * chunksPerMiB; n++) {
    chunk[n]! ^= 0xff;
    yield chunk.slice();
  }
}

function hashOf(countMiB: number): string {
  const hash = createHash("sha256");
  for (const chunk of chunks(countMiB)) hash.update(chunk);
  return hash.digest("hex");
}

async function send({ writable }: Stream, countMiB: number): Promise<void> {
  const writer = writable.getWriter();
  for (const chunk of chunks(countMiB)) await writer.write(chunk);
  await writer.close();
}

async function receive(stream: Stream): Promise<string> {
  const hash = createHash("sha256");
  for await (const message of stream) hash.update(message as Uint8Array);
  return hash.digest("hex");
}
