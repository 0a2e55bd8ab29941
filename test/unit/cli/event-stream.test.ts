import { describe, expect, test } from "vitest";
import { EventStream } from "../../../cli/mcp/event-stream.js";
import { Failure } from "../../../web/node.js";

/** A body of these parts, which is cut with the error if one is given. */
function bodyOf(parts: readonly (string | Uint8Array)[], error?: Error): ReadableStream<Uint8Array> {
  const left = parts.map((part) => (typeof part === "string" ? new TextEncoder().encode(part) : part));
  return new ReadableStream({
    pull(controller) {
      const part = left.shift();
      if (part !== undefined) controller.enqueue(part);
      else if (error === undefined) controller.close();
      else controller.error(error);
    },
  });
}

async function read(events: EventStream, body: ReadableStream<Uint8Array>): Promise<string[]> {
  const messages: string[] = [];
  await events.read(body, async (data) => void messages.push(data)).catch(() => {});
  return messages;
}

describe("EventStream", () => {
  test("gives the messages of events, and knows the id of the last whole one", async () => {
    const events = new EventStream();
    const text = "id: 1\n\nevent: ping\ndata: x\n\nid: 2\ndata: \u{1f600}\n\nid: 3\ndata: cut off\n";
    const bytes = new TextEncoder().encode(text);
    // Each byte comes by itself, those of one character too.
    const parts = [...bytes].map((byte) => Uint8Array.of(byte));
    expect(await read(events, bodyOf(parts, new Error("cut")))).toEqual(["\u{1f600}"]);
    expect(events.lastEventId).toBe("2");
    // An empty id takes it back, and one that no header can carry is none.
    await read(events, bodyOf(["id\ndata: x\n\n"]));
    expect(events.lastEventId).toBeUndefined();
    await read(events, bodyOf(["id: \u202e\ndata: x\n\n"]));
    expect(events.lastEventId).toBeUndefined();
  });

  test("waits as long as it is told, and longer after each attempt, until an event has come", async () => {
    const events = new EventStream();
    expect(Array.from({ length: 7 }, () => events.retry())).toEqual([1e3, 2e3, 4e3, 8e3, 16e3, 30e3, 30e3]);
    expect(events.failures).toBe(7);
    // A tab that ends the stream at once each time is not asked for ever.
    await read(events, bodyOf(["retry: 50\n\n"]));
    expect(events.failures).toBe(7);
    await read(events, bodyOf(["id: 1\n\n"]));
    expect([events.failures, events.retry(), events.retry()]).toEqual([0, 50, 100]);
    await read(events, bodyOf(["retry: 0\ndata: x\n\n"]));
    expect(events.retry()).toBe(10);
    await read(events, bodyOf(["retry: 60000\ndata: x\n\n"]));
    expect([events.retry(), events.retry()]).toEqual([60_000, 60_000]);
    await read(events, bodyOf(["retry: 99999999999\ndata: x\n\n"]));
    expect(events.retry()).toBe(2_147_483_647);
  });

  test("rejects with MESSAGE_TOO_LARGE for an event without an end", async () => {
    const part = "x".repeat(1_000_000);
    const body = bodyOf(["data: ", ...Array.from({ length: 17 }, () => part)]);
    const reading = new EventStream().read(body, async () => {});
    await expect(reading).rejects.toMatchObject({ failure: Failure.MESSAGE_TOO_LARGE });
  });
});
