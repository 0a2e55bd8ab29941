import { Code } from "@connectrpc/connect";
import { expect, test } from "vitest";
import { Failure, Hop } from "../../../../gen/streamserver/v1/failure_pb.js";
import { Endpoint } from "../../../../stream/endpoint/endpoint.js";
import type { EndpointOptions } from "../../../../stream/endpoint/endpoint-options.js";
import type { Frame } from "../../../../stream/endpoint/frame.js";
import { dataFrame, exchange, frame, takeFrames } from "../../../fakes/frames.js";
import { refusal } from "../../../fakes/violation.js";

const data = new Uint8Array(10);

interface Rule {
  rule: string;
  frames: Frame[];
  options?: EndpointOptions;
  failure: Failure;
  code: Code;
}

const { PROTOCOL_VIOLATION, SEQUENCE_GAP, CREDIT_EXCEEDED, MESSAGE_TOO_LARGE } = Failure;

const broken: Rule[] = [
  {
    rule: "a gap in the numbers",
    frames: [dataFrame(1, { data }), dataFrame(3, { data })],
    failure: SEQUENCE_GAP,
    code: Code.OutOfRange,
  },
  {
    rule: "a first frame that is not number 1",
    frames: [dataFrame(2, { data })],
    failure: SEQUENCE_GAP,
    code: Code.OutOfRange,
  },
  {
    rule: "data without a number",
    frames: [dataFrame(0, { data })],
    failure: PROTOCOL_VIOLATION,
    code: Code.InvalidArgument,
  },
  {
    rule: "fin without a number",
    frames: [frame({ fin: true })],
    failure: PROTOCOL_VIOLATION,
    code: Code.InvalidArgument,
  },
  {
    rule: "a number without data or fin",
    frames: [frame({ sequence: 1n })],
    failure: PROTOCOL_VIOLATION,
    code: Code.InvalidArgument,
  },
  {
    rule: "fin between two parts of a message",
    frames: [dataFrame(1, { data, more: true }), frame({ sequence: 2n, fin: true })],
    failure: PROTOCOL_VIOLATION,
    code: Code.InvalidArgument,
  },
  {
    rule: "data after fin",
    frames: [frame({ sequence: 1n, fin: true }), dataFrame(2, { data })],
    failure: PROTOCOL_VIOLATION,
    code: Code.InvalidArgument,
  },
  {
    rule: "an ack for what was never sent",
    frames: [frame({ ack: 1n })],
    failure: PROTOCOL_VIOLATION,
    code: Code.InvalidArgument,
  },
  {
    rule: "one byte more than the first credit",
    frames: [dataFrame(1, { data: new Uint8Array(65_536 - 16 + 1) })],
    failure: CREDIT_EXCEEDED,
    code: Code.ResourceExhausted,
  },
  {
    rule: "empty messages beyond the credit, which are not free",
    frames: [dataFrame(1, ...Array.from({ length: 4_097 }, () => ({})))],
    failure: CREDIT_EXCEEDED,
    code: Code.ResourceExhausted,
  },
  {
    rule: "a message larger than its receiver takes",
    frames: [dataFrame(1, { data: new Uint8Array(11) })],
    options: { maxMessageBytes: 10 },
    failure: MESSAGE_TOO_LARGE,
    code: Code.ResourceExhausted,
  },
  {
    rule: "a message that grows too large part by part",
    frames: [dataFrame(1, { data, more: true }), dataFrame(2, { data: new Uint8Array(1), more: true })],
    options: { maxMessageBytes: 10 },
    failure: MESSAGE_TOO_LARGE,
    code: Code.ResourceExhausted,
  },
];

test.each(broken)("$rule ends the stream on both sides", ({ frames, options, failure, code }) => {
  for (const error of refusal(frames, options)) {
    expect(error).toMatchObject({ failure, code, hop: Hop.PEER });
  }
});

const kept: { rule: string; frames: Frame[]; options?: EndpointOptions }[] = [
  { rule: "a frame that does nothing", frames: [frame({})] },
  { rule: "a number seen before, whatever it carries", frames: [dataFrame(1, { data }), dataFrame(1, { data })] },
  {
    rule: "fin repeated under its number",
    frames: [frame({ sequence: 1n, fin: true }), frame({ sequence: 1n, fin: true })],
  },
  { rule: "all of the first credit", frames: [dataFrame(1, { data: new Uint8Array(65_536 - 16) })] },
  {
    rule: "a message as large as its receiver takes",
    frames: [dataFrame(1, { data: new Uint8Array(4), more: true }, { data: new Uint8Array(6) })],
    options: { maxMessageBytes: 10 },
  },
];

test.each(kept)("$rule does no harm", ({ frames, options }) => {
  const endpoint = new Endpoint(options ?? {}, () => {});
  for (const next of frames) endpoint.receive(next);
  expect(endpoint.state.kind).toBe("open");
});

test("a message that came twice is read once", () => {
  const endpoint = new Endpoint({}, () => {});
  for (const sequence of [1, 2, 1, 2]) endpoint.receive(dataFrame(sequence, { data: Uint8Array.of(sequence) }));
  expect([endpoint.read()?.data, endpoint.read()?.data, endpoint.read()]).toEqual([
    Uint8Array.of(1),
    Uint8Array.of(2),
    undefined,
  ]);
});

test("the first part of a message decides whether it is text", () => {
  const endpoint = new Endpoint({}, () => {});
  endpoint.receive(
    dataFrame(1, { data, text: true, more: true }, { data }, { data, more: true }, { data, text: true }),
  );
  expect([endpoint.read()?.text, endpoint.read()?.text]).toEqual([true, false]);
});

test("credit that comes late or twice takes nothing back", () => {
  const endpoint = new Endpoint({}, () => {});
  endpoint.write({ data: new Uint8Array(100_000), text: false });
  for (const credit of [200_000n, 70_000n, 200_000n, 1n]) endpoint.receive(frame({ credit }));
  takeFrames(endpoint);
  expect(endpoint.bufferedBytes).toBe(0);
});

test("acks that come late or twice take nothing back", () => {
  const [a, b] = [new Endpoint({}, () => {}), new Endpoint({}, () => {})];
  for (let at = 0; at < 3; at++) {
    a.write({ data, text: false });
    for (const sent of takeFrames(a)) b.receive(sent);
  }
  for (const ack of [3n, 1n, 3n]) a.receive(frame({ ack }));
  a.finish();
  b.finish();
  exchange(a, b);
  expect([a.state.kind, b.state.kind]).toEqual(["closed", "closed"]);
});

test("a stream closes only when fin is acknowledged", () => {
  const endpoint = new Endpoint({}, () => {});
  endpoint.finish();
  takeFrames(endpoint);
  endpoint.receive(frame({ sequence: 1n, fin: true }));
  takeFrames(endpoint);
  expect(endpoint.state).toMatchObject({ kind: "open", sending: "finished", receiving: "finished" });
  endpoint.receive(frame({ ack: 1n }));
  expect(endpoint.state.kind).toBe("closed");
});

test("every sixteenth frame is acknowledged, for a sender that keeps them until then", () => {
  const endpoint = new Endpoint({ windowBytes: 65_536 }, () => {});
  for (let sequence = 1; sequence <= 15; sequence++) endpoint.receive(dataFrame(sequence, { data }));
  expect(takeFrames(endpoint)).toEqual([]);
  endpoint.receive(dataFrame(16, { data }));
  expect(takeFrames(endpoint).map(({ ack, sequence }) => ({ ack, sequence }))).toEqual([{ ack: 16, sequence: 0 }]);
});
