import { setFlagsFromString } from "node:v8";
import { runInNewContext } from "node:vm";
import { type Stream, StreamClient, StreamServer, type TransportLike } from "browser-stream-server";
import { afterAll, beforeAll, describe, expect, test } from "vitest";
import { openRelay, type TestRelay } from "./relay-ports.js";
import { allWays, type Way } from "./ways.js";

const messageBytes = 250_000;
const messages = 64;
/** Half of what flows in each direction. Windows and buffers on the way take less; a call that holds what it received takes all. */
const maxHeldBytes = (messages * messageBytes) / 2;

setFlagsFromString("--expose-gc");
const collectGarbage = runInNewContext("gc") as () => void;

/** The bytes of all buffers that something still refers to, after the event loop has let go of what it refers to itself. */
async function heldBytes(): Promise<number> {
  for (let turn = 0; turn < 3; turn++) {
    await new Promise((resolve) => setImmediate(resolve));
    collectGarbage();
  }
  return process.memoryUsage().arrayBuffers;
}

/** Sends messages through an echo, and returns by how much the buffers of this process have grown before the stream ends. */
async function growthOverEcho(transport: TransportLike, connect: (name: string) => Stream): Promise<number> {
  const name = "memory";
  const server = StreamServer(transport, async (stream) => stream.readable.pipeTo(stream.writable)).listen(name);
  await server.ready;
  const stream = connect(name);
  const writer = stream.writable.getWriter();
  const reader = stream.readable.getReader();
  const roundTrip = async () => {
    await writer.write(new Uint8Array(messageBytes));
    await reader.read();
  };
  await roundTrip();
  const before = await heldBytes();
  for (let sent = 0; sent < messages; sent++) await roundTrip();
  const after = await heldBytes();
  await writer.close();
  await stream.closed;
  await server.end();
  return after - before;
}

let relay: TestRelay;

beforeAll(async () => {
  relay = await openRelay();
});

afterAll(() => relay.close());

describe.each(Object.entries(allWays))("over %s", (_, create) => {
  let way: Way;

  beforeAll(() => {
    way = create(relay.url);
  });

  afterAll(() => way.close());

  test("a stream holds nothing of what it has received", async () => {
    const client = StreamClient(way.transport);
    expect(await growthOverEcho(way.transport, (name) => client.connect(name))).toBeLessThan(maxHeldBytes);
  });
});

test("a stream of the relay's own process holds nothing of what it has received", async () => {
  const { origin, proxy } = relay;
  expect(await growthOverEcho(origin, (name) => proxy.connect(name))).toBeLessThan(maxHeldBytes);
});
