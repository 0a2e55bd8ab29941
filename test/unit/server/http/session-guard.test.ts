import { EventEmitter } from "node:events";
import { constants, type ServerHttp2Session } from "node:http2";
import type { Socket } from "node:net";
import { Readable } from "node:stream";
import { afterEach, beforeEach, describe, expect, test } from "vitest";
import { maxIdleBytes, SessionGuard } from "../../../../server/http/session-guard.js";
import { FakeClock } from "../../../fakes/fake-clock.js";

const firstCallTimeoutMs = 20_000;
const lookIntervalMs = 1_000;

/** A session that tells with which code it was destroyed. */
class FakeSession extends EventEmitter {
  destroyedWith: number | undefined;
  /** Whether the client answers the PINGs of the relay. */
  answers = true;

  ping(callback: (error: Error | null) => void): boolean {
    if (this.answers) callback(null);
    return true;
  }

  destroy(_error: unknown, code: number): void {
    this.destroyedWith = code;
  }
}

let clock: FakeClock;
let session: FakeSession;
let socket: { bytesRead: number; bytesWritten: number; isDestroyed: boolean; destroy(): void };
let floods: string[];
let guard: SessionGuard;

beforeEach(() => begin());

function begin(isProxy = false): void {
  clock = new FakeClock();
  session = new FakeSession();
  socket = {
    bytesRead: 0,
    bytesWritten: 0,
    isDestroyed: false,
    destroy() {
      this.isDestroyed = true;
    },
  };
  floods = [];
  guard = new SessionGuard(session as unknown as ServerHttp2Session, socket as unknown as Socket, {
    clock,
    firstCallTimeoutMs,
    isProxy,
    onFlood: (what) => floods.push(what),
  });
}

afterEach(() => {
  guard.stop();
  expect(clock.timers).toBe(0);
  expect(session.eventNames()).toEqual([]);
});

function expectCutOff(): void {
  expect([session.destroyedWith, socket.isDestroyed]).toEqual([constants.NGHTTP2_ENHANCE_YOUR_CALM, true]);
  expect(floods).toHaveLength(1);
}

function expectServed(): void {
  expect([session.destroyedWith, socket.isDestroyed, floods]).toEqual([undefined, false, []]);
}

/** Says something so many times, each of which is answered with so many bytes. */
function say(event: "ping" | "remoteSettings", times: number, answerBytes = 17): void {
  for (let time = 0; time < times; time += 1) {
    session.emit(event);
    socket.bytesWritten += answerBytes;
  }
}

describe("SessionGuard cuts off a client", () => {
  test.each(["ping", "remoteSettings"] as const)("that says %s 1,001 times at once", (event) => {
    say(event, 1_000);
    expectServed();
    say(event, 1);
    expectCutOff();
  });

  test("that says ping more than 10 times a second in the long run, and not one that says it less often", () => {
    session.emit("stream", new Readable({ read() {} }));
    say("ping", 1_000);
    for (let second = 0; second < 100; second += 1) {
      clock.advance(1_000);
      say("ping", 10);
    }
    expectServed();
    say("ping", 1);
    expectCutOff();
  });

  test("that sends megabytes which serve no call within one look", () => {
    session.emit("stream", new Readable({ read() {} }));
    for (let look = 0; look < 10; look += 1) {
      socket.bytesRead += maxIdleBytes;
      clock.advance(lookIntervalMs);
    }
    expectServed();
    socket.bytesRead += maxIdleBytes + 1;
    clock.advance(lookIntervalMs);
    expectCutOff();
  });
});

/** A call that was opened, and is reset when it is told so. */
function openCall(aborted = false): Readable {
  const call = Object.assign(new Readable({ read() {} }), { aborted });
  session.emit("stream", call);
  return call;
}

const nextTurn = () => new Promise((resolve) => setImmediate(resolve));

describe("SessionGuard counts the calls that a client opens and resets within a turn, and cuts it off", () => {
  test("at the 101st, whether it hears of a call before its reset or after", () => {
    for (let call = 0; call < 50; call += 1) openCall().emit("aborted");
    for (let call = 0; call < 50; call += 1) openCall(true);
    expectServed();
    openCall(true);
    expectCutOff();
  });

  test("not if it is a trusted proxy, which hands on the resets of all its callers", () => {
    guard.stop();
    begin(true);
    for (let call = 0; call < 1_000; call += 1) openCall(call % 2 === 0).emit("aborted");
    expectServed();
  });

  test("not for calls of an earlier turn, nor for as many in the next one", async () => {
    const calls = Array.from({ length: 1_000 }, () => openCall());
    await nextTurn();
    for (const call of calls) call.emit("aborted");
    for (let call = 0; call < 100; call += 1) openCall(true);
    await nextTurn();
    for (let call = 0; call < 100; call += 1) openCall(true);
    expectServed();
  });
});

describe("SessionGuard serves a client", () => {
  test("that pings once for each 32 bytes that it gets, as a client that measures its bandwidth", () => {
    for (let round = 0; round < 100_000; round += 1) {
      socket.bytesWritten += 32;
      say("ping", 1);
    }
    expectServed();
  });

  test("that sends data for a call, or is sent as much as it sends", () => {
    const stream = new Readable({ read() {} });
    session.emit("stream", stream);
    for (let look = 0; look < 10; look += 1) {
      stream.push(new Uint8Array(4 * maxIdleBytes));
      socket.bytesRead += 4 * maxIdleBytes;
      socket.bytesRead += 4 * maxIdleBytes;
      socket.bytesWritten += 4 * maxIdleBytes;
      clock.advance(lookIntervalMs);
    }
    expectServed();
    stream.push(null);
  });
});

test("SessionGuard closes a connection that brings no call in time, without a warning", () => {
  clock.advance(firstCallTimeoutMs - 1);
  expectServed();
  clock.advance(1);
  expect([session.destroyedWith, socket.isDestroyed, floods]).toEqual([constants.NGHTTP2_NO_ERROR, true, []]);
});

test("SessionGuard keeps a connection that brought a call in time", () => {
  clock.advance(firstCallTimeoutMs - 1);
  session.emit("stream", new Readable({ read() {} }));
  clock.advance(firstCallTimeoutMs);
  expectServed();
});

describe("SessionGuard, when no call is open any more,", () => {
  test("closes a connection whose client answers no PING in time, without a warning", () => {
    const [first, second] = [openCall(), openCall()];
    session.answers = false;
    clock.advance(10 * firstCallTimeoutMs);
    first.emit("close");
    clock.advance(10 * firstCallTimeoutMs);
    expectServed();
    second.emit("close");
    clock.advance(2 * firstCallTimeoutMs - lookIntervalMs);
    expectServed();
    clock.advance(lookIntervalMs);
    expect([session.destroyedWith, socket.isDestroyed, floods]).toEqual([constants.NGHTTP2_NO_ERROR, true, []]);
  });

  test("keeps one whose client answers, and one that brings another call meanwhile", () => {
    openCall().emit("close");
    clock.advance(10 * firstCallTimeoutMs);
    session.answers = false;
    clock.advance(firstCallTimeoutMs);
    openCall();
    clock.advance(10 * firstCallTimeoutMs);
    expectServed();
  });
});
