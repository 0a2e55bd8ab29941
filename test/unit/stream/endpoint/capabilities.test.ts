import { expect, test } from "vitest";
import { Feature } from "../../../../gen/streamserver/v1/relay_pb.js";
import { capabilitiesFromWire, capabilitiesToWire } from "../../../../stream/endpoint/capabilities.js";

test("an endpoint that says nothing is a simple client that takes 16 MiB", () => {
  const simple = { credit: false, ack: false, resume: false, maxMessageBytes: 16_777_216 };
  expect(capabilitiesFromWire(undefined)).toEqual(simple);
  expect(capabilitiesFromWire({ features: [], maxMessageBytes: 0n })).toEqual(simple);
});

test("a feature that nobody knows is ignored", () => {
  const features = [Feature.UNSPECIFIED, Feature.ACK, 99 as Feature];
  expect(capabilitiesFromWire({ features, maxMessageBytes: 1n })).toEqual({
    credit: false,
    ack: true,
    resume: false,
    maxMessageBytes: 1,
  });
});

test.each([
  { credit: true, ack: true, resume: false, maxMessageBytes: 1 },
  { credit: true, ack: false, resume: false, maxMessageBytes: 2 },
  { credit: false, ack: true, resume: false, maxMessageBytes: 3 },
  { credit: true, ack: true, resume: true, maxMessageBytes: 4 },
])("what an endpoint says of itself is what the other one hears", (own) => {
  expect(capabilitiesFromWire(capabilitiesToWire(own))).toEqual(own);
});
