import { describe, expect, test } from "vitest";
import { Failure } from "../../../../gen/streamserver/v1/failure_pb.js";
import { thrown } from "../../../fakes/outcome.js";
import { connect, offeredStream } from "../../../fakes/relays.js";

/** Whether a promise is settled, once all that is due has run. */
async function isSettled(promise: Promise<unknown>): Promise<boolean> {
  let settled = false;
  void promise.finally(() => {
    settled = true;
  });
  await new Promise((resolve) => setImmediate(resolve));
  return settled;
}

describe("Relay.drain", () => {
  test("refuses new names and streams, and lets the listener take the offer that it has", () => {
    const { relay, splice } = offeredStream();
    const error = relay.drain(10_000);
    expect(thrown(() => relay.listen("other", false)).failure).toBe(Failure.DRAINING);
    expect(thrown(() => connect(relay)).failure).toBe(Failure.DRAINING);
    expect(relay.accept(splice.id, relay.offerToken(splice), undefined)).toBe(splice.listener);
    expect([relay.isOpen, relay.closed, relay.counts.streams]).toEqual([false, undefined, 1]);
    relay.close();
    expect(relay.closed).toBe(error);
  });
});

describe("Relay.idle", () => {
  test("waits for streams, and for legs that outlive them", async () => {
    const { relay, splice, client } = offeredStream();
    relay.legs.add(client);
    relay.drain(10_000);
    const idle = relay.idle();
    splice.end();
    expect(await isSettled(idle)).toBe(false);
    relay.legs.delete(client);
    expect(await isSettled(idle)).toBe(true);
  });

  test("waits no more when the relay is closed", async () => {
    const { relay, client } = offeredStream();
    relay.legs.add(client);
    relay.drain(10_000);
    const idle = relay.idle();
    relay.close();
    expect(await isSettled(idle)).toBe(true);
  });
});
