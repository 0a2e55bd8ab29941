import { Code } from "@connectrpc/connect";
import { expect, test } from "vitest";
import { readFrameHead } from "../../../../../leg/frame-head.js";
import { Parts } from "../../../../../leg/parts.js";
import { endpointFrame, relayedFrame } from "../../../../../server/relay/stream/relayed-frame.js";
import type { Frame } from "../../../../../stream/endpoint/frame.js";
import { dataFrame, frame, plainFrame } from "../../../../fakes/frames.js";

const data = new Uint8Array(20);
const frames: [string, Frame][] = [
  ["without anything in it", frame({})],
  ["with messages", dataFrame(1, { data }, { data: new Uint8Array(70_000), more: true }, { text: true })],
  ["with fin", frame({ sequence: 2n, fin: true, messages: [{ data }] })],
  ["with an ack and a credit", frame({ ack: 9n, credit: 2n ** 60n })],
];

test.each(frames)("relayedFrame has the head that a relay reads in its envelope, for a frame %s", (_what, sent) => {
  const { envelope, ...head } = relayedFrame(sent);
  expect(readFrameHead(envelope)).toEqual(head);
});

test.each(frames)("endpointFrame returns a frame %s as it was sent, from any chunks", (_what, sent) => {
  const { joined } = relayedFrame(sent).envelope;
  for (const arrays of [[joined], [joined.subarray(0, 6), joined.subarray(6)]]) {
    const received = endpointFrame({ ...relayedFrame(sent), envelope: new Parts(arrays) });
    expect(plainFrame(received)).toEqual(plainFrame(sent));
  }
});

test("endpointFrame returns the reset of a frame, and relayedFrame says that there is one", () => {
  const relayed = relayedFrame(frame({ reset: { code: Code.Aborted, reason: "enough" } }));
  expect(relayed.reset).toBe(true);
  expect(endpointFrame(relayed).reset).toMatchObject({ code: Code.Aborted, reason: "enough" });
});
