import fc from "fast-check";
import { expect, test } from "vitest";
import { rawCodec } from "../../../../stream/codec.js";
import { Endpoint } from "../../../../stream/endpoint/endpoint.js";
import { initialCreditBytes, messageOverheadBytes } from "../../../../stream/endpoint/sender.js";
import { SimplePeer } from "../../../fakes/endpoint/simple-peer.js";
import { costOf, takeFrames } from "../../../fakes/frames.js";

const simple = { credit: false, ack: false, resume: false, maxMessageBytes: 16_777_216 };
const windowBytes = 65_536;
const values = fc.array(
  fc.nat(100_000).map((length) => "é€".repeat(length / 5)),
  { maxLength: 8 },
);

test("a peer that knows neither credit nor acks gets and gives everything, at the pace of the reader", () => {
  fc.assert(
    fc.property(values, values, fc.integer({ min: 1_000, max: 60_000 }), (toPeer, fromPeer, partBytes) => {
      const peer = new SimplePeer(fromPeer, partBytes);
      const endpoint = new Endpoint({ windowBytes }, () => {});
      endpoint.setPeer(simple);
      for (const value of toPeer) endpoint.write(rawCodec.encode(value));
      endpoint.finish();
      const read: unknown[] = [];
      for (let moved = true; moved; ) {
        moved = false;
        const incoming = endpoint.hasRoom ? peer.takeFrame() : undefined;
        const message = incoming === undefined ? endpoint.read() : undefined;
        if (incoming !== undefined) endpoint.receive(incoming);
        if (message !== undefined) read.push(rawCodec.decode(message));
        const outgoing = takeFrames(endpoint);
        for (const frame of outgoing) peer.receive(frame);
        moved = incoming !== undefined || message !== undefined || outgoing.length > 0;
      }
      expect(peer.read).toEqual(toPeer);
      expect(peer.finished).toBe("yes");
      expect(peer.unwanted).toBe(0);
      expect(read).toEqual(fromPeer);
      expect(endpoint.state.kind).toBe("closed");
    }),
    { seed: 20_120_402, numRuns: 60 },
  );
});

test("a peer without credit is asked to wait once a window of messages is unread", () => {
  const endpoint = new Endpoint({ windowBytes }, () => {});
  endpoint.setPeer(simple);
  const peer = new SimplePeer(
    Array.from({ length: 50 }, () => "x".repeat(8_192 - messageOverheadBytes)),
    20_000,
  );
  let frames = 0;
  for (; endpoint.hasRoom; frames++) endpoint.receive(peer.takeFrame() as never);
  expect(frames).toBe(windowBytes / 8_192);
  endpoint.read();
  expect(endpoint.hasRoom).toBe(true);
});

test("what was sent and finished before the peer turned out to be simple counts as received at once", () => {
  const endpoint = new Endpoint({}, () => {});
  endpoint.write(rawCodec.encode("early"));
  endpoint.finish();
  takeFrames(endpoint);
  expect(endpoint.state).toMatchObject({ kind: "open", sending: "finished" });
  endpoint.setPeer(simple);
  expect(endpoint.state).toMatchObject({ kind: "open", sending: "acked" });
});

test("what waits for a first grant goes out when the peer turns out not to grant any", () => {
  const endpoint = new Endpoint({}, () => {});
  endpoint.write(rawCodec.encode(new Uint8Array(200_000)));
  const before = takeFrames(endpoint);
  expect(before.reduce((sum, frame) => sum + costOf(frame), 0)).toBeLessThanOrEqual(initialCreditBytes);
  endpoint.setPeer(simple);
  const after = takeFrames(endpoint);
  const parts = [...before, ...after].reduce((sum, { messages }) => sum + messages.length, 0);
  const all = [...before, ...after].reduce((sum, frame) => sum + costOf(frame), 0);
  expect(all).toBe(200_000 + parts * messageOverheadBytes);
});
