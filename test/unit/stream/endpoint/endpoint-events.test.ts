import { expect, test } from "vitest";
import { Endpoint, type EndpointEvent } from "../../../../stream/endpoint/endpoint.js";
import type { EndpointOptions } from "../../../../stream/endpoint/endpoint-options.js";
import { StreamError } from "../../../../stream/error/stream-error.js";
import { dataFrame, frame, takeFrames } from "../../../fakes/frames.js";

/** An endpoint, and what it tells of each action. */
function telling(options: EndpointOptions = {}) {
  const told: EndpointEvent[] = [];
  const endpoint = new Endpoint(options, (event) => told.push(event));
  const after = (action: () => unknown) => {
    told.length = 0;
    action();
    return [...told];
  };
  return { endpoint, after };
}

const bytes = (length: number) => ({ data: new Uint8Array(length), text: false });
const capabilities = { credit: true, ack: true, resume: false, maxMessageBytes: 16_777_216 };

test("there may be something to send after a write, a finish, a reset, and once the peer is known", () => {
  const { endpoint, after } = telling();
  expect(after(() => endpoint.setPeer(capabilities))).toContain("sendable");
  expect(after(() => endpoint.write(bytes(1)))).toEqual(["sendable"]);
  expect(after(() => endpoint.finish())).toContain("sendable");
  expect(after(() => endpoint.reset(new StreamError("enough")))).toContain("sendable");
});

test("there may be something to send after a grant", () => {
  const { endpoint, after } = telling({ windowBytes: 65_536 });
  expect(after(() => endpoint.receive(frame({ credit: 100_000n })))).toEqual(["sendable"]);
  expect(after(() => endpoint.receive(frame({})))).toEqual([]);
});

test("there is an ack to send after fin, and a grant after a quarter of a window", () => {
  const { endpoint, after } = telling({ windowBytes: 65_536 });
  const quarter = dataFrame(1, bytes(16_384 - 16 - 1));
  expect(after(() => endpoint.receive(quarter))).toEqual(["readable", "ackOwed"]);
  expect(after(() => endpoint.read())).toEqual(["read"]);
  expect(after(() => endpoint.receive(dataFrame(2, { more: true, data: new Uint8Array(0) })))).toContain("sendable");
  takeFrames(endpoint);
  expect(after(() => endpoint.receive(dataFrame(3, {})))).not.toContain("sendable");
  expect(after(() => endpoint.receive(frame({ sequence: 4n, fin: true })))).toContain("sendable");
});

test("reading what filled a quarter of a window makes a grant due, at exactly the quarter", () => {
  const { endpoint, after } = telling({ windowBytes: 65_536 });
  endpoint.receive(dataFrame(1, bytes(16_384 - 16)));
  expect(takeFrames(endpoint)).toEqual([]);
  expect(after(() => endpoint.read())).toEqual(["read", "sendable"]);
  expect(takeFrames(endpoint).map(({ credit, ack }) => [credit, ack])).toEqual([[81_920, 1]]);
});

test("reading where nothing waits tells of nothing", () => {
  const { endpoint, after } = telling();
  expect(after(() => endpoint.read())).toEqual([]);
});

test("there is room to write again once, when what waited falls to the mark", () => {
  const { endpoint, after } = telling({ highWaterMarkBytes: 100 });
  endpoint.write(bytes(50));
  expect(after(() => takeFrames(endpoint))).toEqual([]);
  endpoint.write(bytes(150));
  expect(after(() => takeFrames(endpoint))).toEqual(["writable"]);
});

test("the end is told, to the reader and the writer as well", () => {
  const { endpoint, after } = telling();
  expect(after(() => endpoint.fail(new StreamError("gone")))).toEqual(["state", "readable", "writable"]);
  expect(after(() => endpoint.fail(new StreamError("gone")))).toEqual([]);
});

test("each half that finishes is a state of its own", () => {
  const { endpoint, after } = telling();
  expect(after(() => endpoint.receive(frame({ sequence: 1n, fin: true })))).toContain("state");
  expect(endpoint.state).toEqual({ kind: "open", sending: "open", receiving: "finished" });
  expect(after(() => endpoint.finish())).toContain("state");
  expect(endpoint.state).toEqual({ kind: "open", sending: "finishing", receiving: "finished" });
  expect(after(() => takeFrames(endpoint))).toContain("state");
  expect(endpoint.state).toEqual({ kind: "open", sending: "finished", receiving: "finished" });
  expect(after(() => endpoint.receive(frame({ ack: 1n })))).toContain("state");
  expect(endpoint.state).toEqual({ kind: "closed" });
});

test("a message that fits is not split; one that does not is split into parts worth a frame", () => {
  const { endpoint } = telling();
  const sent = () => takeFrames(endpoint).map(({ messages }) => messages.map(({ data, more }) => [data.length, more]));
  endpoint.setMaxFrameBytes(1_040);
  endpoint.write(bytes(1_024));
  endpoint.write(bytes(1_025));
  endpoint.write(bytes(0));
  expect(sent()).toEqual([
    [[1_024, false]],
    [[1_024, true]],
    [
      [1, false],
      [0, false],
    ],
  ]);
  endpoint.setMaxFrameBytes(2_000);
  endpoint.write(bytes(1_000));
  endpoint.write(bytes(1_500));
  expect(sent()).toEqual([[[1_000, false]], [[1_500, false]]]);
});

test("a message of a quarter of the window is not split for credit, and a larger one is", () => {
  const sizesOf = (endpoint: Endpoint) => takeFrames(endpoint).flatMap((sent) => sent.messages.map(costOfPart));
  const costOfPart = ({ data }: { data: Uint8Array }) => data.byteLength + 16;
  for (const windowBytes of [65_536, 262_144]) {
    const { endpoint } = telling();
    endpoint.setMaxFrameBytes(1_048_576);
    if (windowBytes > 65_536) endpoint.receive(frame({ credit: BigInt(windowBytes) }));
    const quarter = bytes(windowBytes / 4 - 16);
    for (const message of [bytes(0), quarter, quarter, quarter, quarter]) endpoint.write(message);
    const three = Array(3).fill(windowBytes / 4);
    expect(sizesOf(endpoint)).toEqual([16, ...three]);
    endpoint.receive(frame({ credit: BigInt(windowBytes + 16) }));
    expect(sizesOf(endpoint)).toEqual([windowBytes / 4]);
    endpoint.write(bytes(windowBytes / 4 - 15));
    endpoint.receive(frame({ credit: BigInt(windowBytes + 16 + 5_000) }));
    expect(sizesOf(endpoint)).toEqual([5_000]);
  }
});

test("what is sent is granted for: a message waits for credit, and goes on with it", () => {
  const { endpoint } = telling();
  endpoint.setPeer(capabilities);
  endpoint.write(bytes(65_536));
  expect(takeFrames(endpoint).map(({ messages }) => messages[0]?.data.length)).toEqual([65_520]);
  endpoint.receive(frame({ credit: 65_536n + 31n }));
  expect(takeFrames(endpoint)).toEqual([]);
  endpoint.receive(frame({ credit: 65_536n + 32n }));
  expect(takeFrames(endpoint).map(({ messages }) => messages[0]?.data.length)).toEqual([16]);
});

test("a message is a view of what it came in, unless it is a small part of it", () => {
  const network = Buffer.alloc(4_000).fill(7);
  const { endpoint } = telling();
  endpoint.receive(dataFrame(1, { data: network.subarray(1, 1_001) }));
  endpoint.receive(dataFrame(2, { data: network.subarray(1, 1_000) }));
  const [large, small] = [endpoint.read()?.data, endpoint.read()?.data];
  expect(large?.buffer).toBe(network.buffer);
  expect(small?.buffer.byteLength).toBe(999);
  expect(small).toEqual(new Uint8Array(999).fill(7));
});
