import type { MessageInitShape } from "@bufbuild/protobuf";
import { Code, ConnectError, createRouterTransport, type Transport } from "@connectrpc/connect";
import { afterEach, beforeEach, describe, expect, test } from "vitest";
import { type ListenResponseSchema, RelayService } from "../../../../gen/streamserver/v1/relay_pb.js";
import { rawCodec } from "../../../../stream/codec.js";
import { Condition, Deferred } from "../../../../stream/platform/deferred.js";
import type { Stream } from "../../../../stream/stream.js";
import { StreamServer } from "../../../../web/api/stream-server.js";
import { FakeClock } from "../../../fakes/fake-clock.js";
import { rejection, settled } from "../../../fakes/outcome.js";

/** The relay has this long to hear of decisions before the name is given back. */
const answerTimeoutMs = 5_000;

type RelayEvent = MessageInitShape<typeof ListenResponseSchema>["event"];

let clock: FakeClock;
let transport: Transport;
/** Makes the relay say something on `Listen`, or end it with an error. */
let say: (event: RelayEvent | ConnectError) => Promise<void>;
/** The end of the relay's `Accept`, which tells nobody that the stream is open. */
let acceptance: Deferred<void>;
/** The calls of the relay, in their order. */
let called: string[];
let unheard: string[];
let server: StreamServer<unknown, never>;

beforeEach(() => {
  clock = new FakeClock();
  acceptance = new Deferred();
  called = [];
  unheard = [];
  const said: (RelayEvent | ConnectError | "end")[] = [];
  const changed = new Condition();
  say = async (event) => {
    said.push(event);
    changed.notify();
    await settled();
  };
  transport = createRouterTransport(({ service }) => {
    service(RelayService, {
      async *listen(_request, { signal }): AsyncGenerator<MessageInitShape<typeof ListenResponseSchema>> {
        signal.addEventListener("abort", () => void say(new ConnectError("canceled", Code.Canceled)));
        for (;;) {
          const event = said.shift();
          if (event === "end") return;
          if (event instanceof ConnectError) throw event;
          if (event === undefined) await changed.changed();
          else yield { event };
        }
      },
      async *accept(): AsyncGenerator<never> {
        called.push("accept");
        await acceptance.promise;
        yield* [];
      },
      reject() {
        called.push("reject");
        return {};
      },
      unlisten() {
        called.push("unlisten");
        said.push("end");
        changed.notify();
        return {};
      },
    });
  });
});

afterEach(async () => {
  acceptance.resolve();
  await server.end();
  await settled();
  expect(clock.timers).toBe(0);
});

const registered: RelayEvent = { case: "registered", value: { leaseId: "lease", heartbeatIntervalMs: 1_000 } };
const offer: RelayEvent = { case: "offer", value: { streamId: "stream" } };

async function listening(callback?: (stream: Stream<unknown, never>) => unknown): Promise<void> {
  server = new StreamServer<unknown, never>({
    transport: async () => transport,
    codec: rawCodec as never,
    listed: false,
    resumes: false,
    clock,
    callback,
    onUnheard: (what, { message }) => unheard.push(`${what}: ${message}`),
  });
  server.listen("name");
  await say(registered);
}

describe("StreamServer.end", () => {
  test("lets the relay hear of a client that was accepted before it gives the name back", async () => {
    await listening((stream) => stream.on("error", () => {}).resume());
    await say(offer);
    const ended = server.end();
    await settled();
    expect(called).toEqual(["accept"]);
    acceptance.resolve();
    await ended;
    // A call that ends without an answer has told the relay nothing.
    expect(called).toEqual(["accept", "reject", "unlisten"]);
  });

  test("waits for no relay that does not answer, and hands out no more clients", async () => {
    let handed = 0;
    await listening((stream) => {
      handed += 1;
      stream.on("error", () => {}).resume();
    });
    await say(offer);
    const ended = server.end();
    await say(offer);
    expect([handed, called]).toEqual([1, ["accept"]]);
    clock.advance(answerTimeoutMs - 1);
    await settled();
    expect(called).toEqual(["accept"]);
    clock.advance(1);
    await ended;
    expect(called).toEqual(["accept", "unlisten"]);
  });
});

const listeners: [string, () => unknown][] = [
  ["there is a listener for error", () => server.on("error", () => {})],
  ["somebody awaits closed", () => server.closed.catch(() => {})],
  [
    "a loop waits for clients",
    () =>
      server[Symbol.asyncIterator]()
        .next()
        .catch(() => {}),
  ],
];

describe("StreamServer shows an error that nobody listens for", () => {
  const failure = new ConnectError("the relay has other plans", Code.FailedPrecondition);

  test.each(listeners)("not where %s", async (_who, listen) => {
    await listening();
    listen();
    await say(failure);
    expect(unheard).toEqual([]);
  });

  test("once, also to somebody who heard that it was ready", async () => {
    await listening();
    await server.ready;
    await say(failure);
    await server.end();
    expect(unheard).toHaveLength(1);
    for (const part of ['"name"', "the relay has other plans"]) expect(unheard[0]).toContain(part);
  });

  test("not where somebody awaits that it is ready, and not where it was ended", async () => {
    server = new StreamServer<unknown, never>({
      transport: () => Promise.reject(failure),
      codec: rawCodec as never,
      listed: false,
      resumes: false,
      clock,
      callback: undefined,
      onUnheard: (what) => unheard.push(what),
    });
    expect((await rejection(server.listen("name").ready)).code).toBe(Code.FailedPrecondition);
    await settled();
    await listening();
    await server.end();
    await settled();
    expect(unheard).toEqual([]);
  });
});
