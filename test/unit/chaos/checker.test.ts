import { Failure, Hop, StreamError } from "browser-stream-server";
import { describe, expect, test } from "vitest";
import { problemsOf } from "../../chaos/history/checker.ts";
import { parseHistory } from "../../chaos/history/history.ts";
import { graceMs } from "../../chaos/limits.ts";
import { planMessage } from "../../chaos/parties/message.ts";
import { Side } from "../../chaos/parties/side.ts";

const cut = parseHistory("http2/http2: open 0; cut client rst");
const longCut = parseHistory(`http2/http2: open 0; away client ${2 * graceMs}`);
const lost = (delivery?: StreamError["delivery"]) =>
  new StreamError("lost", { failure: Failure.LEG_LOST, hop: Hop.RELAY, delivery });

/** The two sides of a stream on which the client wrote three messages, and the listener none. */
function sides(received: number) {
  const [client, listener] = [new Side("client", 1), new Side("listener", 2)];
  client.peer = listener;
  listener.peer = client;
  client.isOpened = true;
  for (let number = 0; number < 3; number += 1) client.written.push(planMessage(10, false, 1, number));
  for (const side of [client, listener]) {
    side.hasEnded = true;
    side.isToldEnd = true;
    side.outcome = { kind: "clean" };
  }
  listener.received = received;
  return { client, listener };
}

describe("problemsOf", () => {
  test("finds nothing in a stream that ended well and whole", () => {
    const { client, listener } = sides(3);
    expect(problemsOf(client, listener, cut)).toEqual([]);
  });

  test("finds a message that is missing at a clean end", () => {
    const { client, listener } = sides(2);
    expect(problemsOf(client, listener, cut)).toHaveLength(1);
  });

  test("finds a clean end without an end that was told", () => {
    const { client, listener } = sides(3);
    client.hasEnded = false;
    listener.isToldEnd = false;
    expect(problemsOf(client, listener, cut)).not.toEqual([]);
  });

  test("finds a side that waits", () => {
    const { client, listener } = sides(3);
    listener.outcome = { kind: "pending" };
    expect(problemsOf(client, listener, cut)).toHaveLength(1);
  });

  test("finds a stream that a short cut has ended, and lets one end that was away for too long", () => {
    const { client, listener } = sides(2);
    for (const side of [client, listener]) side.outcome = { kind: "failed", error: lost() };
    expect(problemsOf(client, listener, cut)).toHaveLength(2);
    expect(problemsOf(client, listener, longCut)).toEqual([]);
  });

  test.each([
    ["says more than was received", { messages: 3, isFinal: false }, 1],
    ["says less, finally", { messages: 1, isFinal: true }, 1],
    ["says less, so far", { messages: 1, isFinal: false }, 0],
    ["is exact", { messages: 2, isFinal: true }, 0],
  ])("looks at an account that %s", (_, delivery, problems) => {
    const { client, listener } = sides(2);
    client.outcome = { kind: "failed", error: lost(delivery) };
    listener.outcome = { kind: "failed", error: lost() };
    expect(problemsOf(client, listener, longCut)).toHaveLength(problems);
  });
});
