import { createHash, randomBytes } from "node:crypto";
import { once } from "node:events";
import { createServer, type IncomingMessage, request } from "node:http";
import type { Socket } from "node:net";
import { Duplex, Readable, Transform } from "node:stream";
import { buffer, text } from "node:stream/consumers";
import { pipeline } from "node:stream/promises";
import { Code, Failure, type Stream, StreamClient, StreamError, StreamServer } from "browser-stream-server";
import { afterAll, afterEach, beforeAll, describe, expect, test } from "vitest";
import { holdsNothing, openRelay, type TestRelay } from "../relay-ports.js";
import { standstill, until } from "../until.js";

let relay: TestRelay;
let server: StreamServer;

beforeAll(async () => {
  relay = await openRelay();
});

afterAll(() => relay?.close());

afterEach(async () => {
  await server?.end();
  await holdsNothing(relay, "links");
});

// The types of Node and of browsers know different readers of the same streams.
const fromWeb = (stream: Stream, options?: { objectMode: boolean }) => Duplex.fromWeb(stream as never, options);
const fromPair = ({ readable, writable }: Stream) => Duplex.from({ readable, writable } as never);
const connect = () => StreamClient(relay.origin).connect("duplex");

async function listen(onDuplex: (duplex: Duplex) => void, options?: { objectMode: boolean }): Promise<void> {
  server = StreamServer(relay.origin, (stream) => onDuplex(fromWeb(stream, options))).listen("duplex");
  await server.ready;
}

describe.each([
  ["Duplex.fromWeb(stream)", fromWeb],
  ["Duplex.from({ readable, writable })", fromPair],
])("%s", (_, duplexOf) => {
  test("half-closes: the answer comes after the end of the request", async () => {
    await listen((duplex) => void pipeline(duplex, createHash("sha256"), duplex));
    const bytes = randomBytes(4_000_000);
    const duplex = duplexOf(connect());
    const sent = pipeline(Readable.from([bytes.subarray(0, 1_000_001), bytes.subarray(1_000_001)]), duplex);
    const answer = buffer(duplex);
    await sent;
    expect(await answer).toEqual(createHash("sha256").update(bytes).digest());
  });

  test("is part of a pipeline with others, both ways at once", async () => {
    await listen((duplex) => void pipeline(duplex, upperCase(), duplex));
    const words = Array.from({ length: 1_000 }, (_, at) => `word ${at}\n`);
    const duplex = duplexOf(connect());
    const [answer] = await Promise.all([text(duplex), pipeline(Readable.from(words), duplex)]);
    expect(answer).toBe(words.join("").toUpperCase());
  });

  test("stops its writer while the peer does not read", async () => {
    let peer: Duplex | undefined;
    await listen((duplex) => {
      peer = duplex;
    });
    const duplex = duplexOf(connect());
    await until(() => peer !== undefined);
    let writtenBytes = 0;
    const chunk = Buffer.alloc(65_536);
    const source = new Readable({
      read() {
        writtenBytes += chunk.byteLength;
        this.push(writtenBytes > 32_000_000 ? null : chunk);
      },
    });
    const sent = pipeline(source, duplex);
    // A window, and the buffers of both ends, are full then.
    await standstill(() => writtenBytes);
    expect(writtenBytes).toBeLessThan(8_000_000);
    peer?.resume().end();
    await sent;
    expect(writtenBytes).toBeGreaterThan(32_000_000);
    await once(duplex.resume(), "close");
  });

  test("fails with the peer's error", async () => {
    await listen((duplex) => {
      duplex.on("error", () => {}).destroy(new StreamError("no more", { code: Code.Aborted }));
    });
    const duplex = duplexOf(connect()).resume();
    const [error] = (await once(duplex, "error")) as [StreamError];
    expect(error).toMatchObject({ code: Code.Aborted, message: "no more" });
    expect(duplex.destroyed).toBe(true);
  });

  test("that is destroyed with an error tells the peer its words", async () => {
    let onError = (_: unknown) => {};
    const peerError = new Promise<unknown>((resolve) => {
      onError = resolve;
    });
    await listen((peer) => peer.on("error", onError).pipe(peer));
    const duplex = duplexOf(connect()).on("error", () => {});
    duplex.write("first");
    await once(duplex, "data");
    duplex.destroy(new Error("out of paper"));
    expect(await peerError).toMatchObject({ failure: Failure.PEER_CANCELED, message: "out of paper" });
  });
});

test("Duplex.fromWeb with objectMode keeps text and bytes apart", async () => {
  await listen((duplex) => void pipeline(duplex, duplex), { objectMode: true });
  const duplex = fromWeb(connect(), { objectMode: true });
  duplex.write("text");
  duplex.end(new Uint8Array([1, 2]));
  expect(await duplex.toArray()).toEqual(["text", new Uint8Array([1, 2])]);
});

test("HTTP/1.1 goes over Duplex.fromWeb: a server of node:http takes streams for connections", async () => {
  const web = createServer((incoming, response) => {
    response.setHeader("content-type", incoming.headers["content-type"] ?? "none");
    incoming.pipe(response);
  });
  await listen((duplex) => void web.emit("connection", duplex));
  const createConnection = () => fromWeb(connect()) as Socket;
  const outgoing = request({ createConnection, method: "POST", headers: { "content-type": "a/b" } });
  const body = randomBytes(1_000_000);
  outgoing.end(body);
  const [response] = (await once(outgoing, "response")) as [IncomingMessage];
  expect(response.headers["content-type"]).toBe("a/b");
  expect(await buffer(response)).toEqual(body);
});

function upperCase(): Transform {
  return new Transform({
    transform(chunk, _, done) {
      done(null, String(chunk).toUpperCase());
    },
  });
}
