import { create, type MessageInitShape } from "@bufbuild/protobuf";
import { describe, expect, test } from "vitest";
import { Failure } from "../../../../gen/streamserver/v1/failure_pb.js";
import { OpenSchema } from "../../../../gen/streamserver/v1/relay_pb.js";
import { TokenSigner } from "../../../../server/relay/token.js";
import { acceptRpc, connectRpc } from "../../../../server/rpc/leg/leg-rpc.js";
import { StreamError } from "../../../../stream/error/stream-error.js";
import { thrown } from "../../../fakes/outcome.js";
import { newRelay, noFacts, resumes, someCaller } from "../../../fakes/relays.js";

/** A relay whose policy lets nobody in, with a stream that was let in before. */
function guarded() {
  const asked: string[] = [];
  const { relay } = newRelay({}, new TokenSigner(), ({ name }) => {
    asked.push(name);
    throw new StreamError("nobody may");
  });
  relay.listen("room", false);
  const { splice } = relay.connect("room", { ...noFacts, capabilities: resumes }, 0, someCaller);
  const admit = (open: MessageInitShape<typeof OpenSchema>, rpc = connectRpc) =>
    rpc.admit(relay, create(OpenSchema, open), someCaller, "");
  return { relay, asked, streamId: splice.id, admit };
}

describe("connectRpc.admit", () => {
  const resume = { generation: 1 };

  test("asks about an offer that a client would make anew, because its token says nothing of the name", () => {
    const { asked, admit } = guarded();
    const refusal = thrown(() => admit({ streamId: "of another process", name: "other", resume }));
    expect([refusal.failure, asked]).toEqual([Failure.NOT_PERMITTED, ["other"]]);
  });

  test("does not ask about a client that comes back to its stream", () => {
    const { asked, admit, streamId } = guarded();
    admit({ streamId, name: "room", resume });
    admit({ streamId: "of another process", resume });
    expect(asked).toEqual([]);
  });

  test("asks nobody about a name that cannot be, or when the relay leaves", () => {
    const { relay, asked, admit } = guarded();
    const failures = [thrown(() => admit({ name: "" })), thrown(() => admit({ name: "x".repeat(257) }))];
    relay.drain(0);
    failures.push(thrown(() => admit({ name: "room" })));
    expect(failures.map(({ failure }) => failure)).toEqual([
      Failure.NAME_INVALID,
      Failure.NAME_INVALID,
      Failure.DRAINING,
    ]);
    expect(asked).toEqual([]);
  });
});

test("acceptRpc.admit asks nobody, because the token of the offer proves enough", () => {
  const { asked, admit, streamId } = guarded();
  admit({ streamId }, acceptRpc);
  expect(asked).toEqual([]);
});
