import type { MessageInitShape } from "@bufbuild/protobuf";
import { createRouterTransport } from "@connectrpc/connect";
import { expect, test } from "vitest";
import type { ConnectResponseSchema } from "../../../../gen/streamserver/v1/relay_pb.js";
import { RelayService } from "../../../../gen/streamserver/v1/relay_pb.js";
import { frameToWire } from "../../../../leg/wire-frame.js";
import { Endpoint } from "../../../../stream/endpoint/endpoint.js";
import { StreamError } from "../../../../stream/error/stream-error.js";
import { StreamLife } from "../../../../stream/stream-life.js";
import { attach } from "../../../../web/api/attacher.js";
import { FakeClock } from "../../../fakes/fake-clock.js";
import { dataFrame, frame, takeFrames } from "../../../fakes/frames.js";
import { settled } from "../../../fakes/outcome.js";

const data = new Uint8Array(3);
const lastFrame = () => ({ ...dataFrame(2, { data }), fin: true });

/** An endpoint that acknowledges the end when it was read, after a message and a message with the end. */
function withEndUnread(): Endpoint {
  const endpoint = new Endpoint({ acknowledgeEnd: "read" }, () => {});
  endpoint.receive(dataFrame(1, { data }));
  endpoint.receive(lastFrame());
  return endpoint;
}

test("Endpoint with acknowledgeEnd: the ack of a fin waits until the reader asks for more after the last message; the others do not", () => {
  const endpoint = withEndUnread();
  expect(takeFrames(endpoint).map(({ ack }) => ack)).toEqual([1]);
  endpoint.read();
  endpoint.read();
  expect(takeFrames(endpoint)).toEqual([]);
  expect(endpoint.read()).toBeUndefined();
  expect(takeFrames(endpoint).map(({ ack }) => ack)).toEqual([2]);
});

test("Endpoint with acknowledgeEnd: a stream is open until the end is acknowledged, so that a reader that fails can still say so", () => {
  const endpoint = withEndUnread();
  endpoint.finish();
  takeFrames(endpoint);
  endpoint.receive(frame({ ack: 1n }));
  expect(endpoint.state).toMatchObject({ kind: "open", sending: "acked", receiving: "finished" });
  endpoint.reset(new StreamError("the disk is full"));
  expect(takeFrames(endpoint).map(({ reset }) => reset?.reason)).toEqual(["the disk is full"]);
});

test("Endpoint.acknowledgeEnd does nothing before the end has come", () => {
  const endpoint = new Endpoint({ acknowledgeEnd: "read" }, () => {});
  endpoint.receive(dataFrame(1, { data }));
  endpoint.acknowledgeEnd();
  endpoint.receive(lastFrame());
  expect(takeFrames(endpoint).map(({ ack }) => ack)).toEqual([1]);
});

test("attach acknowledges the end for a reader that takes longer than half of the relay's linger timeout", async () => {
  const clock = new FakeClock();
  const life = new StreamLife({ acknowledgeEnd: "read" });
  const acks: bigint[] = [];
  const transport = createRouterTransport(({ service }) => {
    service(RelayService, {
      async *connect(requests): AsyncGenerator<MessageInitShape<typeof ConnectResponseSchema>> {
        yield { message: { case: "opened", value: { streamId: "id", limits: { lingerTimeoutMs: 10_000 } } } };
        yield { message: { case: "accepted", value: { capabilities: { features: [1, 2] } } } };
        yield { message: { case: "frame", value: frameToWire(lastFrame()) } };
        for await (const { message } of requests) if (message.case === "frame") acks.push(message.value.ack);
      },
    });
  });
  life.endpoint.receive(dataFrame(1, { data }));
  const driving = attach({ life, transport: async () => transport, method: "connect", open: { name: "name" }, clock });
  await settled();
  clock.advance(4_999);
  await settled();
  expect(acks).not.toContain(2n);
  clock.advance(1);
  await settled();
  expect(acks).toContain(2n);
  life.endpoint.finish();
  life.endpoint.receive(frame({ ack: 1n }));
  await driving;
  expect(clock.timers).toBe(0);
});
