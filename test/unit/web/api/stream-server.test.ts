import type { MessageInitShape } from "@bufbuild/protobuf";
import { createRouterTransport, type Transport } from "@connectrpc/connect";
import { afterEach, beforeEach, expect, test } from "vitest";
import { Failure, Hop } from "../../../../gen/streamserver/v1/failure_pb.js";
import { type ListenResponseSchema, RelayService } from "../../../../gen/streamserver/v1/relay_pb.js";
import { heartbeatsUntilLost } from "../../../../link/link-watch.js";
import { rawCodec } from "../../../../stream/codec.js";
import { Deferred } from "../../../../stream/platform/deferred.js";
import { StreamServer } from "../../../../web/api/stream-server.js";
import { setTransportFacts } from "../../../../web/transport/transport-facts.js";
import { FakeClock } from "../../../fakes/fake-clock.js";
import { promiseState, rejection, settled } from "../../../fakes/outcome.js";

const heartbeatIntervalMs = 1_000;
const silenceMs = heartbeatsUntilLost * heartbeatIntervalMs;
/** A timer that is no later than this is only slow. */
const asleepMs = 5_000;
/** Messages that came while the timer was late may take this long to be read. */
const answerTimeoutMs = 7_000;

let clock: FakeClock;
let transport: Transport;
/** Resolving it makes the relay send a ping on `Listen`. */
let ping: Deferred<"ping">;
let server: StreamServer<unknown, never>;

beforeEach(() => {
  clock = new FakeClock();
  ping = new Deferred();
  const ended = new Deferred<void>();
  transport = createRouterTransport(({ service }) => {
    service(RelayService, {
      async *listen(_request, { signal }): AsyncGenerator<MessageInitShape<typeof ListenResponseSchema>> {
        yield { event: { case: "registered", value: { leaseId: "lease", heartbeatIntervalMs } } };
        signal.addEventListener("abort", () => ended.resolve());
        while ((await Promise.race([ping.promise, ended.promise])) === "ping") {
          ping = new Deferred();
          yield { event: { case: "ping", value: {} } };
        }
      },
      unlisten() {
        ended.resolve();
        return {};
      },
    });
  });
});

afterEach(async () => {
  await server.end();
  expect(clock.timers).toBe(0);
});

async function listening(): Promise<void> {
  const init = {
    transport: async () => transport,
    codec: rawCodec as never,
    listed: false,
    resumes: false,
    clock,
    onUnheard: () => {},
  };
  server = new StreamServer({ ...init, callback: () => {} });
  await server.listen("name").ready;
  await settled();
}

async function isLost(): Promise<void> {
  expect(await rejection(server.closed)).toMatchObject({ failure: Failure.LEG_LOST, hop: Hop.RELAY });
}

test("a lease without a link is lost after two and a half heartbeats of silence, and not before", async () => {
  await listening();
  clock.advance(silenceMs - 1);
  ping.resolve("ping");
  await settled();
  clock.advance(silenceMs - 1);
  expect(await promiseState(server.closed)).toBe("pending");
  clock.advance(1);
  await isLost();
});

test("what came during a sleep is heard before a lease is taken for lost", async () => {
  await listening();
  clock.sleep(silenceMs + asleepMs + 1);
  ping.resolve("ping");
  await settled();
  clock.advance(silenceMs - 1);
  expect(await promiseState(server.closed)).toBe("pending");
});

test("after a sleep during which nothing came, a lease is lost soon", async () => {
  await listening();
  clock.sleep(silenceMs + asleepMs + 1);
  clock.advance(answerTimeoutMs - 1);
  expect(await promiseState(server.closed)).toBe("pending");
  clock.sleep(1 + asleepMs + 1);
  await isLost();
});

test("a timer that is only slow excuses nothing", async () => {
  await listening();
  clock.sleep(silenceMs + asleepMs);
  await isLost();
});

test("a lease on a link lasts as long as the link", async () => {
  setTransportFacts(transport, { kind: () => "websocket", relay: "the relay" });
  await listening();
  expect(clock.timers).toBe(0);
  clock.sleep(100 * silenceMs);
  expect(await promiseState(server.closed)).toBe("pending");
});
