import { create } from "@bufbuild/protobuf";
import { Code } from "@connectrpc/connect";
import { beforeEach, expect, test, vi } from "vitest";
import { Failure } from "../../../gen/streamserver/v1/failure_pb.js";
import { type Packet, PacketSchema } from "../../../gen/streamserver/v1/link_pb.js";
import type { Link } from "../../../link/link.js";
import type { LinkWatch } from "../../../link/link-watch.js";
import { StreamError } from "../../../stream/error/stream-error.js";
import { FakeClock } from "../../fakes/fake-clock.js";
import { loneLink, newWatch } from "../../fakes/links.js";
import { settled } from "../../fakes/outcome.js";

const heartbeatIntervalMs = 1_000;
const limitMs = 2_500;
const answerTimeoutMs = 7_000;
/** An answer may wait behind what came this lately. */
const lateAnswerMs = 5_000;
/** A timer that is no later than this is only slow. */
const asleepMs = 5_000;

let clock: FakeClock;
let link: Link;
let said: Packet[];
let watch: LinkWatch;

beforeEach(() => {
  clock = new FakeClock();
  ({ link, said } = loneLink());
  watch = newWatch(link, clock, heartbeatIntervalMs);
});

/** What the watched side was asked. */
async function asked() {
  await settled();
  return said.map(({ content }) => content.case);
}

/** A pong, as a link gets it. */
async function answer() {
  // The question goes out first.
  await settled();
  watch.heard();
  link.receive(create(PacketSchema, { content: { case: "pong", value: {} } }));
  await settled();
}

async function isLost() {
  expect(link.isOpen).toBe(false);
  expect(await link.closed).toMatchObject({ failure: Failure.LEG_LOST, code: Code.Unavailable });
  await settled();
  expect(clock.timers).toBe(0);
}

test("a link is lost after two and a half heartbeats of silence, and not before", async () => {
  clock.advance(limitMs - 1);
  expect(link.isOpen).toBe(true);
  clock.advance(1);
  await isLost();
});

test("the silence counts from what was heard last, with one timer for all of it", async () => {
  for (let at = 0; at < 100; at++) {
    clock.advance(100);
    watch.heard();
    expect(clock.timers).toBe(1);
  }
  clock.advance(limitMs - 1);
  expect(link.isOpen).toBe(true);
  expect(await asked()).toEqual([]);
  clock.advance(1);
  await isLost();
});

test("what is heard sets the timer, unless that was lately", async () => {
  const set = vi.spyOn(clock, "after");
  for (let at = 0; at < 100; at++) {
    clock.advance(heartbeatIntervalMs / 10);
    watch.heard();
  }
  expect(set.mock.calls).toEqual(Array(20).fill([limitMs, expect.any(Function), false]));
});

test("who is asked and says nothing is lost after the time for an answer", async () => {
  watch.heard();
  clock.advance(1);
  watch.ask();
  expect(await asked()).toEqual(["ping"]);
  expect(clock.timers).toBe(1);
  clock.advance(answerTimeoutMs - 1);
  expect(link.isOpen).toBe(true);
  clock.advance(1);
  await isLost();
});

test("who is asked and answers is watched as before", async () => {
  watch.ask();
  clock.advance(1_000);
  await answer();
  expect(clock.timers).toBe(1);
  clock.advance(limitMs - 1);
  expect(link.isOpen).toBe(true);
  clock.advance(1);
  await isLost();
});

test("what else comes after a question is no answer", async () => {
  watch.ask();
  clock.advance(answerTimeoutMs - lateAnswerMs);
  watch.heard();
  clock.advance(lateAnswerMs - 1);
  expect(link.isOpen).toBe(true);
  clock.advance(1);
  await isLost();
});

test("an answer may be late while other things come", async () => {
  watch.ask();
  for (let at = 0; at < 3 * answerTimeoutMs; at += lateAnswerMs / 2) {
    clock.advance(lateAnswerMs / 2);
    watch.heard();
  }
  expect(link.isOpen).toBe(true);
  await answer();
  clock.advance(limitMs);
  await isLost();
});

test("an answer may be late while the question may wait behind what is getting out", async () => {
  let [sentBytes, waitingBytes] = [0, 3];
  watch.outgoing = () => [sentBytes, waitingBytes];
  watch.ask();
  while (waitingBytes > 1) {
    clock.advance(answerTimeoutMs - 1);
    sentBytes += 1;
    waitingBytes -= 1;
    clock.advance(1);
    expect(link.isOpen).toBe(true);
  }
  clock.advance(answerTimeoutMs);
  await isLost();
});

test("what gets out after the question is no sign of the other side", async () => {
  let sentBytes = 0;
  watch.outgoing = () => [sentBytes, 0];
  watch.ask();
  sentBytes += 1;
  clock.advance(answerTimeoutMs);
  await isLost();
});

test("what got out before a sleep keeps no link for longer after it", async () => {
  let sentBytes = 0;
  watch.outgoing = () => [sentBytes, 1];
  watch.ask();
  sentBytes += 1;
  clock.sleep(answerTimeoutMs + asleepMs + 1);
  watch.ask();
  clock.advance(answerTimeoutMs - 1);
  expect(link.isOpen).toBe(true);
  clock.advance(1);
  await isLost();
});

test("asking again and again delays nothing", async () => {
  watch.ask();
  clock.advance(answerTimeoutMs - 1);
  for (let times = 0; times < 10; times += 1) watch.ask();
  expect(await asked()).toEqual(["ping"]);
  clock.advance(1);
  await isLost();
});

test("the answer to a question from before a sleep is asked for once more after it", async () => {
  watch.ask();
  watch.ask();
  watch.ask();
  await answer();
  expect(await asked()).toEqual(["ping", "ping"]);
  clock.advance(answerTimeoutMs - 1);
  expect(link.isOpen).toBe(true);
  await answer();
  expect(await asked()).toEqual(["ping", "ping"]);
  clock.advance(limitMs);
  await isLost();
});

test("a machine that slept while it asked waits for the answer anew, once", async () => {
  watch.ask();
  clock.sleep(answerTimeoutMs + asleepMs + 1);
  expect(link.isOpen).toBe(true);
  clock.advance(answerTimeoutMs - 1);
  expect(link.isOpen).toBe(true);
  clock.sleep(1 + asleepMs + 1);
  await isLost();
});

test("after a sleep, what may have come meanwhile is asked for", async () => {
  clock.sleep(limitMs + asleepMs + 1);
  expect(link.isOpen).toBe(true);
  expect(await asked()).toEqual(["ping"]);
  clock.advance(1_000);
  await answer();
  clock.advance(limitMs - 1);
  expect(link.isOpen).toBe(true);
});

test("after a sleep without an answer, the link is lost", async () => {
  clock.sleep(limitMs + asleepMs + 1);
  clock.advance(answerTimeoutMs - 1);
  expect(link.isOpen).toBe(true);
  clock.advance(1);
  await isLost();
});

test("a timer that is only slow asks nothing", async () => {
  clock.sleep(limitMs + asleepMs);
  expect(await asked()).toEqual([]);
  await isLost();
});

test("a link that ended leaves no timer, asked or not", async () => {
  link.close(new StreamError("over"));
  await settled();
  expect(clock.timers).toBe(0);
  watch.ask();
  watch.heard();
  clock.advance(limitMs);
  watch.heard();
  expect(clock.timers).toBe(0);
});

test("a link that ended while it was asked leaves no timer", async () => {
  watch.ask();
  link.close(new StreamError("over"));
  await settled();
  expect(clock.timers).toBe(0);
});
