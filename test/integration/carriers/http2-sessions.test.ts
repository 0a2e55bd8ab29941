import { once } from "node:events";
import {
  type ClientHttp2Session,
  constants,
  createSecureServer,
  createServer,
  type Http2SecureServer,
  type Http2Server,
  connect as http2Connect,
  type ServerHttp2Session,
} from "node:http2";
import { type AddressInfo, connect, type Server, type Socket } from "node:net";
import { defaultLimits, StreamServerProxy } from "browser-stream-server/server";
import { afterEach, beforeEach, describe, expect, test } from "vitest";
import { FakeClock } from "../../fakes/fake-clock.js";
import { selfSigned } from "../relay-ports.js";
import { until } from "../until.js";

const { heartbeatIntervalMs } = defaultLimits;
/** Most connections here have no call, and none is to end for that. */
const openTimeoutMs = 100 * heartbeatIntervalMs;
const preface = Buffer.from("PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n");
/** A whole request: GET, http, the path "/" and the authority "a". RFC 7541, appendix A. */
const requestHead = [0x82, 0x86, 0x84, 0x41, 1, 0x61];
const [headers, settings, ping, goaway, windowUpdate] = [1, 4, 6, 7, 8];

/** RFC 9113, section 4.1; of the connection, unless it says a stream. Its payload, or as many zeros. */
function frame(type: number, payload: number | number[], flags = 0, stream = 0): Buffer {
  const bytes = typeof payload === "number" ? new Uint8Array(payload) : payload;
  return Buffer.from([0, 0, bytes.length, type, flags, 0, 0, 0, stream, ...bytes]);
}

let clock: FakeClock;
let proxy: StreamServerProxy;
let server: Server;
/** The relay's end of the last connection. */
let theirs: Socket;

afterEach(async () => {
  proxy.close();
  await new Promise((resolve) => server.close(resolve));
  expect(clock.timers).toBe(0);
});

/** Puts a relay on a server; returns its port. */
async function openRelay(plainOrSecure: Http2Server | Http2SecureServer, connected: string): Promise<number> {
  clock = new FakeClock();
  proxy = StreamServerProxy({ clock, limits: { openTimeoutMs } }).install(plainOrSecure);
  server = plainOrSecure;
  server.on(connected, (socket) => {
    theirs = socket;
  });
  server.listen(0, "127.0.0.1");
  await once(server, "listening");
  return (server.address() as AddressInfo).port;
}

/** Resolves in the next turn, in which frames that wait to be sent go out. */
const turn = () => new Promise<void>((resolve) => setImmediate(resolve));

/** Lets time go by so that each part of it is noticed. */
async function pass(heartbeats: number, meanwhile: () => Promise<void> = turn): Promise<void> {
  for (let half = 0; half < 2 * heartbeats; half += 1) {
    clock.advance(heartbeatIntervalMs / 2);
    await meanwhile();
  }
}

describe.each([
  ["without TLS", "http", "connection", () => createServer()],
  ["with TLS", "https", "secureConnection", () => createSecureServer(selfSigned())],
] as const)("a connection %s", (_, scheme, connected, create) => {
  let session: ClientHttp2Session;

  beforeEach(async () => {
    const port = await openRelay(create(), connected);
    session = http2Connect(`${scheme}://127.0.0.1:${port}`, { rejectUnauthorized: false });
    await once(session, "remoteSettings");
  });

  afterEach(async () => {
    session.destroy();
    if (!theirs.destroyed) await once(theirs, "close");
  });

  test("lives while the peer answers, however quiet it is otherwise", async () => {
    // The relay hears the peer's ack of its settings.
    await new Promise((resolve) => session.ping(resolve));
    let pings = 0;
    session.on("ping", () => (pings += 1));
    for (let beats = 1; beats <= 6; beats += 1) {
      const heard = theirs.bytesRead;
      await pass(1);
      await until(() => pings === beats && theirs.bytesRead > heard);
    }
    expect(session.destroyed).toBe(false);
  });

  test("lives after a goodbye while a call is open and the peer answers", async () => {
    const call = session.request({
      ":method": "POST",
      ":path": "/browser-server/streamserver.v1.RelayService/Watch",
      "content-type": "application/connect+proto",
    });
    call.end(new Uint8Array(5)).resume();
    await once(call, "response");
    session.close();
    for (let beats = 1; beats <= 6; beats += 1) {
      const heard = theirs.bytesRead;
      await pass(1);
      await until(() => theirs.bytesRead > heard);
    }
    expect(call.closed).toBe(false);
    call.on("error", () => {});
  });

  test("is retired by a call that a draining relay refuses, and keeps the calls that it has", async () => {
    const begin = (method: string) =>
      session.request({
        ":method": "POST",
        ":path": `/browser-server/streamserver.v1.RelayService/${method}`,
        "content-type": "application/connect+proto",
      });
    // An envelope with a `ListenRequest` that claims "n", and a client for it, for which the relay stays.
    const lease = begin("Listen")
      .end(Buffer.from([0, 0, 0, 0, 3, 10, 1, 110]))
      .resume();
    await until(() => proxy.counts.leases === 1);
    const client = proxy.connect("n").on("error", () => {});
    await until(() => proxy.counts.offers === 1);
    const drained = proxy.drain();
    const retired = once(session, "goaway");
    const refused = begin("Listen").end(new Uint8Array(5)).resume();
    const [[code, lastStreamId]] = await Promise.all([retired, once(refused, "end")]);
    // The highest there is, so that HTTP/2 refuses no call that is on its way: the relay does, and says why.
    expect([code, lastStreamId]).toEqual([constants.NGHTTP2_NO_ERROR, 2 ** 31 - 1]);
    expect([lease.closed, proxy.counts.leases]).toEqual([false, 1]);
    client.destroy();
    await drained;
    await once(lease, "close");
  });
});

describe("a connection of a peer by hand", () => {
  let peer: Socket;

  /** Hands bytes to the relay, which it has read then. */
  async function say(bytes: Buffer): Promise<void> {
    const all = theirs.bytesRead + bytes.byteLength;
    peer.write(bytes);
    await until(() => theirs.bytesRead === all || theirs.destroyed);
  }

  beforeEach(async () => {
    const port = await openRelay(createServer(), "connection");
    const accepted = once(server, "connection");
    peer = connect({ port, host: "127.0.0.1", allowHalfOpen: true });
    peer.on("error", () => {}).resume();
    await accepted;
    const acks = [frame(settings, 0, 1), frame(settings, 0, 1)];
    await say(Buffer.concat([preface, frame(settings, 0), ...acks]));
    await pass(0.5);
  });

  afterEach(() => {
    peer.destroy();
  });

  test("is closed when nothing was heard for two and a half heartbeats", async () => {
    await pass(2);
    expect(theirs.destroyed).toBe(false);
    await pass(0.5);
    expect(theirs.destroyed).toBe(true);
  });

  test("lives while anything is heard, though no PING is answered", async () => {
    for (let times = 0; times < 4; times += 1) {
      await pass(2);
      await say(frame(ping, 8));
    }
    await pass(2);
    expect(theirs.destroyed).toBe(false);
  });

  describe("that takes nothing", () => {
    /** The response is larger than the buffers of kernels. */
    const bytes = 16 * 1_048_576;
    let session: ServerHttp2Session;

    beforeEach(async () => {
      const windows = [0x7f, 0, 0, 0];
      const larger = Buffer.concat([frame(settings, [0, 4, ...windows]), frame(windowUpdate, windows)]);
      peer.write(Buffer.concat([larger, frame(headers, requestHead, 5, 1)]));
      const [, response] = await once(server, "request");
      session = response.stream.session;
      peer.pause();
      response.write(Buffer.alloc(bytes));
      await until(() => theirs.bytesWritten > bytes);
      await pass(0.5);
    });

    test("is closed when nothing was heard for ten heartbeats", async () => {
      await pass(9.5);
      expect(theirs.destroyed).toBe(false);
      await pass(0.5);
      expect(theirs.destroyed).toBe(true);
    });

    test("has as long as any other to answer once it takes what there is", async () => {
      await pass(9.5);
      peer.resume();
      await until(() => session.state.outboundQueueSize === 0);
      await pass(2.5);
      expect(theirs.destroyed).toBe(false);
      await pass(0.5);
      expect(theirs.destroyed).toBe(true);
    });
  });

  test("is closed if it brings no call in time, whatever else it says", async () => {
    const halves = (2 * 2 * openTimeoutMs) / heartbeatIntervalMs;
    for (let half = 2; half < halves; half += 1) {
      clock.advance(heartbeatIntervalMs / 2);
      await say(frame(ping, 8));
    }
    expect(theirs.destroyed).toBe(false);
    await pass(0.5);
    expect(theirs.destroyed).toBe(true);
  });

  describe("after its last call", () => {
    const patienceMs = 2 * openTimeoutMs;

    /** Lets time go by in which the peer is heard in each heartbeat, half a heartbeat at a time. */
    async function passHeard(ms: number, bytes: () => Buffer): Promise<void> {
      for (let passedMs = 0; passedMs < ms && !theirs.destroyed; passedMs += heartbeatIntervalMs) {
        await pass(1);
        await say(bytes());
      }
    }

    beforeEach(async () => {
      const requested = once(server, "request");
      peer.write(frame(headers, requestHead, 5, 1));
      const [, response] = await requested;
      const closed = once(response.stream, "close");
      response.end();
      await closed;
    });

    test("is closed if the head of the next one comes slowly", async () => {
      // A header "a" with a value of 16,000 bytes, which do not all come. RFC 7541, sections 5.1 and 6.2.2.
      const field = [0, 1, 0x61, 0x7f, ((16_000 - 127) & 0x7f) | 0x80, (16_000 - 127) >> 7];
      const bytes = requestHead.length + field.length + 16_000;
      await say(Buffer.from([0, bytes >> 8, bytes & 0xff, headers, 5, 0, 0, 0, 3, ...requestHead, ...field]));
      await passHeard(2 * patienceMs, () => Buffer.from("a"));
      expect(theirs.destroyed).toBe(true);
    });

    test("lives while the peer answers PINGs, and says nothing else", async () => {
      let unanswered = Buffer.alloc(0);
      peer.on("data", (chunk: Buffer) => {
        unanswered = Buffer.concat([unanswered, chunk]);
      });
      await passHeard(4 * patienceMs, () => {
        const answers: Buffer[] = [];
        while (unanswered.length >= 9) {
          const end = 9 + unanswered.readUIntBE(0, 3);
          if (unanswered.length < end) break;
          if (unanswered[3] === ping) answers.push(frame(ping, [...unanswered.subarray(9, end)], 1));
          unanswered = unanswered.subarray(end);
        }
        return answers.length > 0 ? Buffer.concat(answers) : frame(ping, 8);
      });
      expect(theirs.destroyed).toBe(false);
    });
  });

  test("is closed after a goodbye if the peer leaves it half open, whatever it still says", async () => {
    peer.write(frame(goaway, 8));
    await once(peer, "end");
    await pass(2.5, () => say(frame(ping, 8)));
    expect(theirs.destroyed).toBe(true);
  });
});
