import { once } from "node:events";
import {
  type ClientHttp2Session,
  connect,
  constants,
  createServer,
  type Http2Server,
  type ServerHttp2Stream,
} from "node:http2";
import type { AddressInfo } from "node:net";
import { Code } from "@connectrpc/connect";
import { afterEach, beforeEach, expect, test } from "vitest";
import type { CallCarrier, EnvelopeCall } from "../../../../leg/envelope-call.js";
import { frameEnvelope } from "../../../../leg/frame-envelope.js";
import type { Parts } from "../../../../leg/parts.js";
import { StreamError } from "../../../../stream/error/stream-error.js";
import { Deferred } from "../../../../stream/platform/deferred.js";
import { http2CarrierOpener } from "../../../../web/node/http2-carrier.js";
import { dataFrame } from "../../../fakes/frames.js";
import { rejection } from "../../../fakes/outcome.js";

const { NGHTTP2_CANCEL, NGHTTP2_INTERNAL_ERROR } = constants;
const canceled = new StreamError("enough", { code: Code.Canceled });

let server: Http2Server;
let session: ClientHttp2Session;

beforeEach(async () => {
  server = createServer().listen(0, "127.0.0.1");
  await once(server, "listening");
  session = connect(`http://127.0.0.1:${(server.address() as AddressInfo).port}`);
});

afterEach(async () => {
  session.destroy();
  await new Promise((resolve) => server.close(resolve));
});

const connections = {
  request: async (method: string, path: string) => session.request({ ":method": method, ":path": path }),
};

/** A call that writes down what its carrier hands in. */
class Call {
  readonly drained = new Deferred<void>();
  readonly ended = new Deferred<void>();
  readonly failed = new Deferred<unknown>();
  status = 0;

  answered(status: number): void {
    this.status = status;
  }

  onData(): void {}

  onDrain(): void {
    this.drained.resolve();
  }

  onEnd(): void {
    this.ended.resolve();
  }

  fail(reason: unknown): void {
    this.failed.resolve(reason);
  }
}

/** Opens a carrier, and resolves with the server's end of its stream too. */
async function open(signal = new AbortController().signal) {
  const call = new Call();
  const request = { url: "http://relay/leg", header: new Headers(), signal };
  const accepted = once(server, "stream") as Promise<[ServerHttp2Stream]>;
  const carrier: CallCarrier = await http2CarrierOpener(connections)(request, call as unknown as EnvelopeCall);
  const [stream] = await accepted;
  stream.on("error", () => {});
  return { call, carrier, stream };
}

/** Resolves when a stream is closed, with or without an error. */
function closed(stream: ServerHttp2Stream): Promise<void> {
  return new Promise((resolve) => {
    if (stream.destroyed) resolve();
    else stream.once("close", resolve);
  });
}

/** An envelope in the carrier's memory, as `EnvelopeCall` makes it of a frame. */
function frameOf(carrier: CallCarrier, data: Uint8Array): Parts {
  return frameEnvelope(dataFrame(1, { data }), carrier.memory);
}

test("Http2Carrier.write sends bytes as they were, and says when there is room again", async () => {
  const { call, carrier, stream } = await open();
  const large = new Uint8Array(1_048_576).fill(7);
  const sent = Buffer.from(frameEnvelope(dataFrame(1, { data: large })).joined);
  expect(carrier.write(frameOf(carrier, large))).toBe(false);
  // The peer has room for a small part of them, so Node reads the rest later.
  await new Promise((resolve) => setImmediate(resolve));
  new Uint8Array(structuredClone(large.buffer, { transfer: [large.buffer] })).fill(9);
  const received = stream.toArray();
  await call.drained.promise;
  carrier.end();
  const chunks: Buffer[] = await received;
  expect(Buffer.concat(chunks).equals(sent)).toBe(true);
});

test("Http2Carrier.write sends the envelopes of one turn together", async () => {
  const { carrier, stream } = await open();
  const sizes = [10, 20, 30];
  for (const size of sizes) carrier.write(frameOf(carrier, new Uint8Array(size)));
  const sent = sizes.map((size) => frameEnvelope(dataFrame(1, { data: new Uint8Array(size) })).byteLength);
  const [chunk] = (await once(stream, "data")) as [Buffer];
  expect(chunk.byteLength).toBe(sent.reduce((sum, bytes) => sum + bytes));
});

test("Http2Carrier.write leaves the memory of frames that wait alone when others are sent", async () => {
  const { carrier, stream } = await open();
  for (const round of [0, 4, 8]) {
    const messages = [300_000, 200_000, 300_000, 250_000].map((size, at) => new Uint8Array(size).fill(round + at));
    for (const data of messages) carrier.write(frameOf(carrier, data));
    const sent = Buffer.concat(messages.map((data) => frameEnvelope(dataFrame(1, { data })).joined));
    const received: Buffer[] = [];
    for (let bytes = 0; bytes < sent.byteLength; ) {
      const chunk: Buffer | null = stream.read();
      if (chunk === null) await once(stream, "readable");
      else bytes += received[received.push(chunk) - 1]?.byteLength ?? 0;
    }
    expect(Buffer.concat(received).equals(sent)).toBe(true);
  }
});

test.each([
  ["a cancelled call with CANCEL", canceled, NGHTTP2_CANCEL],
  ["another call with INTERNAL_ERROR", new StreamError("a fault", { code: Code.Internal }), NGHTTP2_INTERNAL_ERROR],
])("Http2Carrier.reset ends %s, and its call hears the reason", async (_, error, rstCode) => {
  const { call, carrier, stream } = await open();
  carrier.reset(error);
  expect(await call.failed.promise).toMatchObject({ rawMessage: error.message, code: error.code });
  await closed(stream);
  expect(stream.rstCode).toBe(rstCode);
  expect(await Promise.race([call.ended.promise, "not ended"])).toBe("not ended");
});

test("Http2Carrier ends the request when the response has ended", async () => {
  const { call, stream } = await open();
  stream.respond({ ":status": 418 });
  stream.end();
  await call.ended.promise;
  expect(call.status).toBe(418);
  await closed(stream);
});

test("http2CarrierOpener gives up when the signal is aborted, and resets the stream that comes later", async () => {
  const abort = new AbortController();
  const stream = new Deferred<ServerHttp2Stream>();
  server.once("stream", (each: ServerHttp2Stream) => stream.resolve(each.on("error", () => {})));
  const asked = new Deferred<void>();
  const slow = {
    request: async (method: string, path: string) => {
      await asked.promise;
      return connections.request(method, path);
    },
  };
  const request = { url: "http://relay/leg", header: new Headers(), signal: abort.signal };
  const opened = rejection(http2CarrierOpener(slow)(request, new Call() as unknown as EnvelopeCall));
  abort.abort(canceled);
  expect(await opened).toBe(canceled);
  asked.resolve();
  const late = await stream.promise;
  await closed(late);
  expect(late.rstCode).toBe(NGHTTP2_CANCEL);
});
