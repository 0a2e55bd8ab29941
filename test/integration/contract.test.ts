import { createHash, randomBytes } from "node:crypto";
import { Code, Failure, type RawMessage, type Stream, StreamClient, StreamServer } from "browser-stream-server";
import { afterAll, afterEach, beforeAll, beforeEach, describe, expect, test } from "vitest";
import { holdsNothing, openRelay, selfSigned, type TestRelay } from "./relay-ports.js";
import { allWays, http2Ways, type Way } from "./ways.js";

const sha256 = (parts: Iterable<Uint8Array>) => {
  const hash = createHash("sha256");
  for (const part of parts) hash.update(part);
  return hash.digest("hex");
};

async function readAll(stream: Stream): Promise<RawMessage[]> {
  const messages: RawMessage[] = [];
  for await (const message of stream) messages.push(message);
  return messages;
}

/** What a stream promises, whatever carries it, from either side. */
function contract(open: () => { relay: TestRelay; listening: Way; connecting: Way }): void {
  let relay: TestRelay;
  let listening: Way;
  let connecting: Way;
  let server: StreamServer;

  /** Both ends of one stream. */
  async function join(metadata: Record<string, string> = {}): Promise<{ here: Stream; there: Stream }> {
    const there = StreamClient(connecting.transport).connect("name", { metadata });
    const { value: here } = await server[Symbol.asyncIterator]().next();
    if (here === undefined) throw new Error("the server ended");
    here.resume().pause();
    await there.opened;
    return { here, there };
  }

  beforeEach(async () => {
    ({ relay, listening, connecting } = open());
    server = StreamServer(listening.transport).listen("name");
    await server.ready;
  });

  afterEach(async () => {
    await server.end();
    await holdsNothing(relay, "links");
  });

  test("a thousand messages each way arrive whole and in order, and both sides end well", async () => {
    const there = StreamClient(connecting.transport).connect("name", { metadata: { from: "there" } });
    const { value: here } = await server[Symbol.asyncIterator]().next();
    expect(here?.metadata).toEqual({ from: "there" });
    const numbered = (from: string) => Array.from({ length: 1_000 }, (_, at) => `${from} ${at}`);
    for (const message of numbered("here")) here!.write(message);
    for (const message of numbered("there")) there.write(message);
    here!.end();
    there.end();
    const [atHere, atThere] = await Promise.all([readAll(here!), readAll(there)]);
    expect(atHere).toEqual(numbered("there"));
    expect(atThere).toEqual(numbered("here"));
    await Promise.all([here!.closed, there.closed]);
  });

  test("messages keep their boundaries and their kind", async () => {
    const messages = ["", "a", new Uint8Array(), new Uint8Array([0, 255]), "\u{1F600}é", "x".repeat(200_000)];
    const there = StreamClient(connecting.transport).connect("name");
    const { value: here } = await server[Symbol.asyncIterator]().next();
    for (const message of messages) there.write(message);
    there.end();
    here!.end();
    expect(await readAll(here!)).toEqual(messages);
    await Promise.all([readAll(there), here!.closed]);
  });

  test("after one side has ended, 4 MiB come from the other", async () => {
    const there = StreamClient(connecting.transport).connect("name");
    const { value: here } = await server[Symbol.asyncIterator]().next();
    there.end("the last word");
    expect(await readAll(here!)).toEqual(["the last word"]);
    const parts = Array.from({ length: 16 }, () => randomBytes(262_144));
    const writer = here!.writable.getWriter();
    const sending = (async () => {
      for (const part of parts) await writer.write(part);
      await writer.close();
    })();
    expect(sha256((await readAll(there)) as Uint8Array[])).toBe(sha256(parts));
    await sending;
    await Promise.all([here!.closed, there.closed]);
  });

  test("a listener can decline, with a code and a reason", async () => {
    const stream = StreamClient(connecting.transport).connect("name");
    const { value: offered } = await server[Symbol.asyncIterator]().next();
    offered!.reject(Code.ResourceExhausted, "the room is full");
    await expect(stream.opened).rejects.toMatchObject({
      code: Code.ResourceExhausted,
      failure: Failure.DECLINED,
      message: "the room is full",
    });
    await expect(stream.closed).rejects.toMatchObject({ failure: Failure.DECLINED });
  });

  test("a name that nobody listens on, and a name that is taken", async () => {
    const lost = StreamClient(connecting.transport).connect("nobody's");
    await expect(lost.closed).rejects.toMatchObject({ code: Code.NotFound, failure: Failure.NO_SUCH_NAME });
    const second = StreamServer(connecting.transport).listen("name");
    await expect(second.ready).rejects.toMatchObject({ code: Code.AlreadyExists, failure: Failure.NAME_TAKEN });
    await expect(second.closed).rejects.toMatchObject({ failure: Failure.NAME_TAKEN });
  });

  test("destroying one side fails the other, with the code and the reason that it was given", async () => {
    const first = await join();
    first.there.destroy();
    await expect(first.here.closed).rejects.toMatchObject({ code: Code.Canceled, failure: Failure.PEER_CANCELED });
    const second = await join();
    second.here.destroy(new Error("out of paper"));
    await expect(second.there.closed).rejects.toMatchObject({ code: Code.Unknown, message: "out of paper" });
  });

  test("a stream outlives the name that it was made under", async () => {
    const { here, there } = await join();
    await server.end();
    await expect(StreamClient(connecting.transport).connect("name").opened).rejects.toMatchObject({
      failure: Failure.NO_SUCH_NAME,
    });
    there.end("still here");
    here.end();
    here.resume();
    const heard = new Promise((resolve) => here.once("data", resolve));
    expect(await heard).toBe("still here");
    there.resume();
    await Promise.all([here.closed, there.closed]);
  });

  test("a receiver that does not read stops the sender", async () => {
    const { here, there } = await join();
    const part = new Uint8Array(65_536);
    let writtenParts = 0;
    while (there.write(part)) writtenParts += 1;
    expect(writtenParts * part.byteLength).toBeLessThan(8 * 1_048_576);
    const drained = new Promise<void>((resolve) => there.once("drain", resolve));
    here.resume();
    await drained;
    there.destroy();
    await expect(here.closed).rejects.toMatchObject({ code: Code.Canceled });
  });
}

describe.each(Object.keys(allWays))("over %s", (name) => {
  let relay: TestRelay;
  let way: Way;
  let other: Way;

  beforeAll(async () => {
    relay = await openRelay();
    way = allWays[name]!(relay.url);
    other = allWays["a base URL"]!(relay.url);
  });

  afterAll(async () => {
    way.close();
    await holdsNothing(relay);
    await relay.close();
  });

  describe("listening", () => contract(() => ({ relay, listening: way, connecting: other })));
  describe("connecting", () => contract(() => ({ relay, listening: other, connecting: way })));
});

describe.each(Object.keys(http2Ways))("over %s and TLS", (name) => {
  let relay: TestRelay;
  let way: Way;

  beforeAll(async () => {
    relay = await openRelay({ tls: selfSigned() });
    way = http2Ways[name as keyof typeof http2Ways](relay.url);
  });

  afterAll(async () => {
    way.close();
    await relay.close();
  });

  contract(() => ({ relay, listening: way, connecting: way }));
});
