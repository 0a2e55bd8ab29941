import { create, type MessageInitShape, toBinary } from "@bufbuild/protobuf";
import { createClient } from "@connectrpc/connect";
import { contentTypeStreamProto } from "@connectrpc/connect/protocol-connect";
import { afterEach, beforeEach, expect, test, vi } from "vitest";
import { Failure } from "../../../../gen/streamserver/v1/failure_pb.js";
import { LinkService, ReceiveResponseSchema } from "../../../../gen/streamserver/v1/link_pb.js";
import { RelayService } from "../../../../gen/streamserver/v1/relay_pb.js";
import { envelope } from "../../../../leg/envelope.js";
import { openPageTransport } from "../../../../web/transport/page-transport.js";
import { relayUrl } from "../../../../web/transport/relay-url.js";
import { FakeClock } from "../../../fakes/fake-clock.js";
import { rejection, settled } from "../../../fakes/outcome.js";

const baseUrl = "http://relay.example";
/** How long a relay may take to open a fetch link. */
const openTimeoutMs = 10_000;

/** The locks that are held. */
const held = new Set<string>();

async function lock<T>(name: string, _options: LockOptions, use: (lock: Lock | null) => Promise<T>): Promise<T> {
  if (held.has(name)) return use(null);
  held.add(name);
  return use({ name, mode: "exclusive" }).finally(() => held.delete(name));
}

beforeEach(() => {
  vi.stubGlobal("navigator", { locks: { request: lock } });
  vi.stubGlobal(
    "WebSocket",
    class {
      constructor() {
        throw new DOMException("not from here", "SecurityError");
      }
    },
  );
});

afterEach(() => {
  vi.unstubAllGlobals();
  vi.restoreAllMocks();
  held.clear();
});

function part(response: MessageInitShape<typeof ReceiveResponseSchema>): Uint8Array {
  return envelope(0, toBinary(ReceiveResponseSchema, create(ReceiveResponseSchema, response)));
}

/** A request that gets no answer. */
function aborted(signal: AbortSignal): Promise<never> {
  return new Promise((_, reject) => signal.addEventListener("abort", () => reject(signal.reason)));
}

test("the place of a fetch link is given back when the link ends", async () => {
  let receive: ReadableStreamDefaultController<Uint8Array> | undefined;
  vi.stubGlobal("fetch", async (url: string, { signal }: { signal: AbortSignal }) => {
    if (!url.endsWith(`/${LinkService.method.receive.name}`)) return aborted(signal);
    const body = new ReadableStream<Uint8Array>({
      start(controller) {
        receive = controller;
        const opened = { maxChannels: 8, maxPacketBytes: 65_536, maxBatchBytes: 65_536, heartbeatIntervalMs: 15_000 };
        controller.enqueue(part({ opened }));
      },
    });
    return new Response(body, { headers: { "content-type": contentTypeStreamProto } });
  });
  const call = rejection(
    createClient(RelayService, await openPageTransport(relayUrl(baseUrl), new FakeClock())).list({}),
  );
  while (receive === undefined) await settled();
  await settled();
  expect(held.size).toBe(1);
  receive.close();
  await call;
  await settled();
  expect(held.size).toBe(0);
});

test("the place of a fetch link that cannot be opened is given back", async () => {
  const heldMeanwhile: number[] = [];
  vi.stubGlobal("fetch", async () => {
    heldMeanwhile.push(held.size);
    throw new TypeError("no route");
  });
  await rejection(createClient(RelayService, await openPageTransport(relayUrl(baseUrl), new FakeClock())).list({}));
  await settled();
  expect(heldMeanwhile).toEqual([1]);
  expect(held.size).toBe(0);
});

test("a relay that does not answer is lost where the tab has a place for its link", async () => {
  vi.stubGlobal("location", new URL(baseUrl));
  vi.stubGlobal("fetch", (_url: string, { signal }: { signal: AbortSignal }) => aborted(signal));
  const clock = new FakeClock();
  const call = rejection(createClient(RelayService, await openPageTransport(relayUrl(baseUrl), clock)).list({}));
  while (held.size === 0) await settled();
  await settled();
  clock.advance(openTimeoutMs);
  expect((await call).failure).toBe(Failure.LEG_LOST);
});

test("a relay that does not answer over HTTP/2 is lost", async () => {
  const url = "https://relay.example";
  vi.stubGlobal("location", new URL(url));
  const page = { name: `${url}/`, nextHopProtocol: "h2" } as unknown as PerformanceEntry;
  vi.spyOn(performance, "getEntriesByType").mockReturnValue([page]);
  vi.stubGlobal("fetch", (_url: string, { signal }: { signal: AbortSignal }) => aborted(signal));
  const clock = new FakeClock();
  const call = rejection(createClient(RelayService, await openPageTransport(relayUrl(url), clock)).list({}));
  await settled();
  clock.advance(openTimeoutMs);
  expect((await call).failure).toBe(Failure.LEG_LOST);
});
