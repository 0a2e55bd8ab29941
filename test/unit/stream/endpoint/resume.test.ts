import { Code } from "@connectrpc/connect";
import { describe, expect, test } from "vitest";
import { Failure, Hop } from "../../../../gen/streamserver/v1/failure_pb.js";
import type { Capabilities } from "../../../../stream/endpoint/capabilities.js";
import { Endpoint, type EndpointEvent } from "../../../../stream/endpoint/endpoint.js";
import type { EndpointInit } from "../../../../stream/endpoint/endpoint-options.js";
import type { Frame } from "../../../../stream/endpoint/frame.js";
import { StreamError } from "../../../../stream/error/stream-error.js";
import { dataFrame, exchange, frame, takeFrames } from "../../../fakes/frames.js";
import { errorOf } from "../../../fakes/violation.js";

const able: Capabilities = { credit: true, ack: true, resume: true, maxMessageBytes: 16_777_216 };

function resumable(init: EndpointInit = {}, told: EndpointEvent[] = []): Endpoint {
  const endpoint = new Endpoint({ resume: true, ...init }, (event) => told.push(event));
  endpoint.setPeer(able);
  return endpoint;
}

/** Writes messages with these first bytes, each in a frame of its own, and returns the frames. */
function send(endpoint: Endpoint, ...firstBytes: number[]): Frame[] {
  return firstBytes.flatMap((byte) => {
    endpoint.write({ data: new Uint8Array(100).fill(byte), text: false });
    return takeFrames(endpoint);
  });
}

const numbers = (frames: readonly Frame[]) => frames.map(({ sequence }) => sequence);
const contents = (frames: readonly Frame[]) => frames.map(({ messages, fin }) => ({ messages, fin }));

describe("Endpoint.resume", () => {
  test("sends again what the peer has not received, with its numbers and its content, and then what is new", () => {
    const endpoint = resumable();
    const sent = send(endpoint, 1, 2, 3);
    endpoint.finish();
    sent.push(...takeFrames(endpoint));
    endpoint.detach();
    endpoint.resume(2);
    const again = takeFrames(endpoint);
    expect(contents(again)).toEqual(contents(sent.slice(2)));
    expect(numbers(again)).toEqual([3, 4]);
    const writing = resumable();
    const [first] = send(writing, 1);
    writing.detach();
    writing.write({ data: new Uint8Array(100).fill(2), text: false });
    expect(writing.takeFrame()).toBeUndefined();
    writing.resume(0);
    const all = takeFrames(writing);
    expect(numbers(all)).toEqual([1, 2]);
    expect(all[0]?.messages).toEqual(first?.messages);
  });

  test("tells a relay that may be new of a fin that the peer has, also when the stream is closed", () => {
    const endpoint = resumable();
    endpoint.write({ data: new Uint8Array(1), text: false });
    exchange(endpoint, resumable());
    endpoint.finish();
    takeFrames(endpoint);
    endpoint.receive(frame({ ack: 2n }));
    const resumed = () => {
      endpoint.detach();
      endpoint.resume(2);
      return takeFrames(endpoint);
    };
    expect(resumed()).toEqual([expect.objectContaining({ sequence: 2, fin: true, messages: [] })]);
    endpoint.receive(frame({ sequence: 1n, fin: true }));
    takeFrames(endpoint);
    expect(endpoint.state.kind).toBe("closed");
    expect(resumed()).toEqual([expect.objectContaining({ sequence: 2, fin: true, messages: [], ack: 1 })]);
    expect(endpoint.state.kind).toBe("closed");
  });

  test("tells that there is something to send", () => {
    const told: EndpointEvent[] = [];
    const endpoint = resumable({}, told);
    send(endpoint, 1);
    endpoint.detach();
    told.length = 0;
    endpoint.resume(0);
    expect(told).toEqual(["sendable"]);
  });

  test("sends no copy, and no frame that was acknowledged before or while it sends", () => {
    const endpoint = resumable();
    const [, , third] = send(endpoint, 1, 2, 3, 4, 5);
    endpoint.receive(frame({ ack: 1n }));
    endpoint.detach();
    endpoint.resume(0);
    expect(endpoint.takeFrame()?.sequence).toBe(2);
    expect(endpoint.takeFrame()?.messages[0]?.data).toBe(third?.messages[0]?.data);
    endpoint.receive(frame({ ack: 4n }));
    expect(numbers(takeFrames(endpoint))).toEqual([5]);
  });

  test("sends fresh acks and credit, and none that were sent with a frame before", () => {
    const endpoint = resumable({ windowBytes: 65_536 });
    endpoint.receive(dataFrame(1, { data: new Uint8Array(40_000) }));
    endpoint.read();
    expect(send(endpoint, 1)).toMatchObject([{ ack: 1, credit: 40_016 + 65_536 }]);
    endpoint.receive(dataFrame(2, {}));
    expect(send(endpoint, 2)).toMatchObject([{ ack: 2 }]);
    endpoint.detach();
    endpoint.resume(0);
    expect(takeFrames(endpoint)).toMatchObject([
      { sequence: 1, ack: 2, credit: 40_016 + 65_536 },
      { sequence: 2, ack: 0, credit: 0 },
    ]);
  });

  test("closes a stream whose last ack it brings", () => {
    const endpoint = resumable();
    endpoint.finish();
    takeFrames(endpoint);
    endpoint.receive(frame({ sequence: 1n, fin: true }));
    takeFrames(endpoint);
    endpoint.detach();
    expect(endpoint.state.kind).toBe("open");
    endpoint.resume(1);
    expect(endpoint.state.kind).toBe("closed");
  });

  test("tells the ack and the credit again, and counts what it sends again against its own credit once", () => {
    const endpoint = resumable({ windowBytes: 65_536 });
    endpoint.receive(dataFrame(1, { data: new Uint8Array(40_000) }));
    endpoint.read();
    const [told] = takeFrames(endpoint);
    expect(told).toMatchObject({ ack: 1, credit: 40_016 + 65_536 });
    endpoint.write({ data: new Uint8Array(65_536 - 16), text: false });
    takeFrames(endpoint);
    endpoint.detach();
    endpoint.resume(0);
    expect(takeFrames(endpoint).map(({ ack, credit }) => [ack, credit])).toEqual([[1, 40_016 + 65_536]]);
    endpoint.receive(frame({ credit: 65_536n + 116n, ack: 1n }));
    expect(numbers(send(endpoint, 1))).toEqual([2]);
    expect(takeFrames(endpoint)).toEqual([]);
  });

  test("sends again what a leg before has carried, to a peer that cannot resume and was not known then", () => {
    const endpoint = new Endpoint({ resume: true }, () => {});
    send(endpoint, 1, 2);
    endpoint.finish();
    takeFrames(endpoint);
    endpoint.detach();
    endpoint.setPeer({ ...able, resume: false });
    endpoint.resume(1);
    expect(numbers(takeFrames(endpoint))).toEqual([2, 3]);
    expect([endpoint.keptBytes, endpoint.state.kind]).toEqual([0, "open"]);
  });

  test("ends the stream for a number that was never sent, and for a peer that cannot resume", () => {
    const beyond = resumable();
    send(beyond, 1);
    beyond.detach();
    beyond.resume(2);
    const violation = { failure: Failure.PROTOCOL_VIOLATION, hop: Hop.PEER };
    expect(errorOf(beyond)).toMatchObject(violation);
    expect(beyond.takeFrame()?.reset).toBeDefined();
    const simple = resumable();
    simple.setPeer({ ...able, resume: false });
    simple.resume(0);
    expect(errorOf(simple)).toMatchObject(violation);
  });

  test("ends the stream if the application has transferred kept bytes away, and sends none of them", () => {
    const endpoint = resumable();
    const data = new Uint8Array(1_000);
    endpoint.write({ data, text: false });
    takeFrames(endpoint);
    structuredClone(data, { transfer: [data.buffer] });
    endpoint.detach();
    endpoint.resume(0);
    expect(takeFrames(endpoint)).toMatchObject([{ messages: [], reset: { code: Code.InvalidArgument } }]);
    expect(errorOf(endpoint)).toMatchObject({ code: Code.InvalidArgument, hop: Hop.CALLER });
  });
});

describe("Endpoint.detach", () => {
  test("holds back no reset, which the relay keeps for a peer without a leg", () => {
    const endpoint = resumable();
    endpoint.detach();
    expect(endpoint.isDetached).toBe(true);
    endpoint.reset(new StreamError("enough"));
    expect(takeFrames(endpoint).map(({ reset }) => reset?.reason)).toEqual(["enough"]);
  });
});

test("Endpoint.expectGap drops frames that leave a gap, until the expected one has come", () => {
  const endpoint = resumable({ windowBytes: 65_536 });
  endpoint.receive(dataFrame(1, { text: true }));
  endpoint.expectGap();
  const whole = { data: new Uint8Array(60_000) };
  for (let nth = 0; nth < 3; nth += 1) endpoint.receive(dataFrame(3, whole));
  endpoint.receive(dataFrame(1, whole));
  expect(endpoint.receivedSequence).toBe(1);
  endpoint.receive(dataFrame(2, {}));
  endpoint.receive(dataFrame(3, whole));
  expect(endpoint.state.kind).toBe("open");
  expect(endpoint.receivedSequence).toBe(3);
  endpoint.receive(dataFrame(5, {}));
  expect(errorOf(endpoint)).toMatchObject({ failure: Failure.SEQUENCE_GAP });
});

test("Endpoint.receivedSequence leaves out a fin whose ack waits for the reader", () => {
  const endpoint = resumable({ acknowledgeEnd: "read" });
  endpoint.receive({ ...dataFrame(1, {}), fin: true });
  expect(endpoint.receivedSequence).toBe(0);
  endpoint.read();
  endpoint.read();
  expect(endpoint.receivedSequence).toBe(1);
});

describe("Endpoint keeps", () => {
  test("frames until they are acknowledged", () => {
    const endpoint = resumable();
    send(endpoint, 1, 2, 3);
    expect(endpoint.keptBytes).toBe(3 * 116);
    endpoint.receive(frame({ ack: 2n }));
    expect(endpoint.keptBytes).toBe(116);
    endpoint.reset(new StreamError("enough"));
    expect(endpoint.keptBytes).toBe(0);
  });

  test.each([{ resume: false }, { ack: false }, { credit: false }])("nothing for a peer with %o", (lacks) => {
    const endpoint = new Endpoint({ resume: true }, () => {});
    send(endpoint, 1);
    expect(endpoint.keptBytes).toBe(116);
    endpoint.setPeer({ ...able, ...lacks });
    expect(endpoint.isResumable).toBe(false);
    send(endpoint, 2);
    expect(endpoint.keptBytes).toBe(0);
  });

  test("nothing unless it names the feature itself", () => {
    const endpoint = new Endpoint({}, () => {});
    expect(endpoint.capabilities.resume).toBe(false);
    send(endpoint, 1);
    expect(endpoint.keptBytes).toBe(0);
  });

  test("what a client has still to send again when the listener turns out to be simple", () => {
    const endpoint = new Endpoint({ resume: true }, () => {});
    send(endpoint, 1, 2);
    endpoint.detach();
    endpoint.resume(0);
    endpoint.setPeer({ ...able, resume: false });
    expect(numbers(takeFrames(endpoint))).toEqual([1, 2]);
    expect(endpoint.keptBytes).toBe(0);
  });

  test("no more than maxBufferedBytes for a peer that grants credit and acknowledges nothing", () => {
    const told: EndpointEvent[] = [];
    const endpoint = resumable({ maxBufferedBytes: 250 }, told);
    endpoint.receive(frame({ credit: 1_000_000n }));
    expect(numbers(send(endpoint, 1, 2, 3, 4))).toEqual([1, 2, 3]);
    told.length = 0;
    endpoint.receive(frame({ ack: 1n }));
    expect(told).toContain("sendable");
    expect(numbers(takeFrames(endpoint))).toEqual([4]);
  });
});

describe("Endpoint owes an ack", () => {
  const windowBytes = 65_536;

  test("once for the frames that came since the last one, and gives it when it is asked or sends anyway", () => {
    const told: EndpointEvent[] = [];
    const endpoint = resumable({ windowBytes }, told);
    const owed = () => told.splice(0).filter((event) => event === "ackOwed").length;
    endpoint.receive(dataFrame(1, {}));
    endpoint.receive(dataFrame(2, {}));
    expect(owed()).toBe(1);
    expect(takeFrames(endpoint)).toEqual([]);
    endpoint.acknowledge();
    expect(told).toContain("sendable");
    expect(takeFrames(endpoint).map(({ sequence, ack }) => [sequence, ack])).toEqual([[0, 2]]);
    endpoint.receive(dataFrame(3, {}));
    expect(owed()).toBe(1);
    expect(send(endpoint, 1).map(({ sequence, ack }) => [sequence, ack])).toEqual([[1, 3]]);
    told.length = 0;
    endpoint.acknowledge();
    expect(told).toEqual([]);
    expect(takeFrames(endpoint)).toEqual([]);
  });

  test("at once after half a window of bytes that nobody has read", () => {
    const endpoint = resumable({ windowBytes });
    endpoint.receive(dataFrame(1, { data: new Uint8Array(windowBytes / 2 - 16 - 16 - 1) }));
    expect(takeFrames(endpoint)).toEqual([]);
    endpoint.receive(dataFrame(2, { data: new Uint8Array(1) }));
    expect(takeFrames(endpoint).map(({ ack }) => ack)).toEqual([2]);
    endpoint.receive(dataFrame(3, {}));
    expect(takeFrames(endpoint)).toEqual([]);
  });

  test("none to a peer that wants none", () => {
    const told: EndpointEvent[] = [];
    const endpoint = resumable({ windowBytes }, told);
    endpoint.setPeer({ ...able, ack: false });
    endpoint.receive(dataFrame(1, {}));
    endpoint.acknowledge();
    expect(told).not.toContain("ackOwed");
    expect(takeFrames(endpoint)).toEqual([]);
  });
});

describe("Endpoint.delivery", () => {
  const lost = new StreamError("lost", { failure: Failure.LEG_LOST });

  test("counts the messages that end in acknowledged frames, and is final when all of them are", () => {
    const endpoint = resumable();
    endpoint.setMaxFrameBytes(4_096);
    endpoint.write({ data: new Uint8Array(5_000), text: false });
    endpoint.write({ data: new Uint8Array(0), text: false });
    takeFrames(endpoint);
    const deliveryAt = (ack: bigint) => {
      endpoint.receive(frame({ ack }));
      return endpoint.delivery;
    };
    expect(endpoint.delivery).toEqual({ messages: 0, isFinal: false });
    expect(deliveryAt(1n)).toEqual({ messages: 0, isFinal: false });
    expect(deliveryAt(2n)).toEqual({ messages: 2, isFinal: true });
    endpoint.write({ data: new Uint8Array(0), text: false });
    expect(endpoint.delivery).toEqual({ messages: 2, isFinal: true });
    takeFrames(endpoint);
    expect(endpoint.delivery).toEqual({ messages: 2, isFinal: false });
  });

  test("without kept frames counts messages when all frames are acknowledged", () => {
    const endpoint = new Endpoint({}, () => {});
    send(endpoint, 1, 2);
    endpoint.receive(frame({ ack: 1n }));
    expect(endpoint.delivery).toEqual({ messages: 0, isFinal: false });
    endpoint.receive(frame({ ack: 2n }));
    expect(endpoint.delivery).toEqual({ messages: 2, isFinal: true });
    send(endpoint, 3, 4);
    endpoint.receive(frame({ ack: 3n, reset: { code: Code.Aborted } }));
    expect(errorOf(endpoint).delivery).toEqual({ messages: 2, isFinal: false });
  });

  test("is on a copy of the error with which the endpoint fails, because that error may be of many streams", () => {
    const endpoints = [resumable(), resumable()];
    endpoints.forEach((endpoint, at) => {
      send(endpoint, 1, 2);
      endpoint.receive(frame({ ack: BigInt(at + 1) }));
      endpoint.fail(lost);
    });
    expect(endpoints.map((endpoint) => errorOf(endpoint).delivery)).toEqual([
      { messages: 1, isFinal: false },
      { messages: 2, isFinal: true },
    ]);
    expect(errorOf(endpoints[0] as Endpoint)).toMatchObject({ message: "lost", stack: lost.stack, code: lost.code });
    expect(lost).not.toHaveProperty("delivery");
  });

  test("takes in the number that the relay tells with the error, if it was sent", () => {
    const failed = (receivedSequence: number) => {
      const endpoint = resumable();
      send(endpoint, 1, 2, 3);
      endpoint.fail(new StreamError("lost", { failure: Failure.STREAM_GONE, receivedSequence }));
      return errorOf(endpoint).delivery;
    };
    expect(failed(2)).toEqual({ messages: 2, isFinal: false });
    expect(failed(3)).toEqual({ messages: 3, isFinal: true });
    expect(failed(4)).toEqual({ messages: 0, isFinal: false });
  });

  test("is final when the peer resets, whose reset carries its last ack", () => {
    const [a, b] = [resumable(), resumable({ acknowledgeEnd: "read" })];
    const [first, second] = send(a, 1, 2, 3);
    b.receive(first as Frame);
    b.receive({ ...(second as Frame), fin: true });
    b.reset(new StreamError("enough"));
    exchange(a, b);
    expect(errorOf(a)).toMatchObject({ message: "enough", delivery: { messages: 2, isFinal: true } });
    expect(a.keptBytes).toBe(0);
  });

  test("does not count a frame that the peer refused", () => {
    const [a, b] = [resumable(), resumable({ maxMessageBytes: 100 })];
    for (const length of [100, 101]) {
      a.write({ data: new Uint8Array(length), text: false });
      for (const sent of takeFrames(a)) b.receive(sent);
    }
    exchange(a, b);
    expect(errorOf(a)).toMatchObject({
      failure: Failure.MESSAGE_TOO_LARGE,
      delivery: { messages: 1, isFinal: true },
    });
    expect(errorOf(b).delivery).toEqual({ messages: 0, isFinal: true });
  });

  test("is not on an error of the application, and replaces the account of another stream", () => {
    const [own, other] = [resumable(), resumable()];
    const mine = new StreamError("mine");
    own.reset(mine);
    expect(errorOf(own)).toBe(mine);
    send(other, 1);
    other.reset(mine.withDelivery({ messages: 7, isFinal: true }));
    expect(errorOf(other)).toMatchObject({ message: "mine", delivery: { messages: 0, isFinal: false } });
  });
});

test("Endpoint.fail closes a stream of which only the peer's last ack was missing, if the relay tells it", () => {
  const ended = () => {
    const endpoint = resumable();
    send(endpoint, 1);
    endpoint.finish();
    takeFrames(endpoint);
    endpoint.detach();
    endpoint.receive(frame({ sequence: 1n, fin: true }));
    return endpoint;
  };
  const [told, untold] = [ended(), ended()];
  told.fail(new StreamError("gone", { failure: Failure.STREAM_GONE, receivedSequence: 2 }));
  expect(told.state.kind).toBe("closed");
  untold.fail(new StreamError("gone", { failure: Failure.STREAM_GONE, receivedSequence: 1 }));
  expect(errorOf(untold).delivery).toEqual({ messages: 1, isFinal: false });
});
