import { Code } from "@connectrpc/connect";
import { describe, expect, test } from "vitest";
import { Failure } from "../../../../../gen/streamserver/v1/failure_pb.js";
import { StreamError } from "../../../../../stream/error/stream-error.js";
import { callBroke, comeBack, Listening, offeredStream, resumableStream } from "../../../../fakes/relays.js";

const error = new StreamError("enough", { failure: Failure.NOT_PERMITTED, code: Code.Aborted });

describe("Relay.endStream", () => {
  test("ends a stream for both endpoints, and for one that comes back", () => {
    const { relay, splice, client, listener } = resumableStream();
    const [, hearing] = [new Listening(client), new Listening(listener)];
    client.lose(callBroke());
    relay.endStream(splice.id, error);
    expect(hearing.end).toMatchObject({ failure: Failure.NOT_PERMITTED, code: Code.Aborted });
    expect(() => comeBack(relay, "client", splice.id)).toThrow("enough");
    expect(relay.counts.streams).toBe(0);
  });

  test("ends an offer, which its listener can take no more", () => {
    const { relay, splice, client, lease } = offeredStream();
    const waiting = new Listening(client);
    relay.endStream(splice.id, error);
    expect(waiting.end).toMatchObject({ failure: Failure.NOT_PERMITTED });
    expect(lease.offers).toBe(0);
  });

  test("refuses a stream that has ended, and leaves its end to the endpoint that has not heard of it", () => {
    const { relay, splice, client, listener } = resumableStream();
    for (const half of [client, listener]) new Listening(half);
    client.lose(callBroke());
    listener.fail(new StreamError("left", { failure: Failure.PEER_CANCELED }));
    expect(() => relay.endStream(splice.id, error)).toThrow(expect.objectContaining({ failure: Failure.STREAM_GONE }));
    expect(comeBack(relay, "client", splice.id).end).toMatchObject({ failure: Failure.PEER_CANCELED });
    expect(() => relay.endStream("other", error)).toThrow(expect.objectContaining({ failure: Failure.STREAM_GONE }));
  });
});
