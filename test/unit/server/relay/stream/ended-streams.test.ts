import { Code } from "@connectrpc/connect";
import { describe, expect, test } from "vitest";
import { Failure } from "../../../../../gen/streamserver/v1/failure_pb.js";
import { EndedStreams, maxEnds } from "../../../../../server/relay/stream/ended-streams.js";
import { resetFrame } from "../../../../../server/relay/stream/relayed-frame.js";
import { maxReasonBytes, StreamError } from "../../../../../stream/error/stream-error.js";
import { FakeClock } from "../../../../fakes/fake-clock.js";
import { frame } from "../../../../fakes/frames.js";
import { thrown } from "../../../../fakes/outcome.js";
import { Listening, relayed, resumableStream } from "../../../../fakes/relays.js";

describe("EndedStreams", () => {
  test("forgets the oldest end when it has as many as it keeps", () => {
    const ended = new EndedStreams(new FakeClock());
    const reset = resetFrame(new StreamError("enough"), 0);
    for (let stream = 0; stream <= maxEnds; stream += 1) ended.addReset(`${stream}`, "client", reset);
    expect(ended.resume("0", "listener")).toBeUndefined();
    expect([ended.resume("1", "listener")?.kind, ended.resume(`${maxEnds}`, "listener")?.kind]).toEqual([
      "owed",
      "owed",
    ]);
  });

  test("owes an endpoint the limit that its stream has met, which it takes for the end only after it was opened", () => {
    const { splice, listener } = resumableStream();
    const limit = { name: "maxHeldBytes", value: 1_000, retryAfterMs: 1_000 };
    splice.close(new StreamError("too many bytes", { failure: Failure.LIMIT_REACHED, limit }));
    const ended = new EndedStreams(new FakeClock());
    ended.add(splice);
    const half = ended.resume(splice.id, "listener");
    expect(half?.kind).toBe("owed");
    expect(new Listening(half ?? listener).end).toMatchObject({ failure: Failure.LIMIT_REACHED, limit });
  });

  test.each([
    ["keeps a reset with the longest reason", maxReasonBytes, "owed"],
    ["keeps no reset that is larger, as an endpoint may send one of the size of a frame", 100_000, undefined],
  ])("%s", (_what, reasonBytes, kind) => {
    const { splice, client, listener } = resumableStream();
    for (const half of [client, listener]) new Listening(half);
    client.put(relayed(frame({ reset: { code: Code.Aborted, reason: "x".repeat(reasonBytes) } })));
    const ended = new EndedStreams(new FakeClock());
    ended.add(splice);
    if (kind === undefined) expect(thrown(() => ended.resume(splice.id, "listener")).failure).toBe(Failure.STREAM_GONE);
    else expect(ended.resume(splice.id, "listener")?.kind).toBe(kind);
  });
});
