import { afterEach, beforeEach, expect, test, vi } from "vitest";
import { rawCodec } from "../../../../stream/codec.js";
import type { Stream } from "../../../../stream/stream.js";
import { openStream } from "../../../../web/api/stream-client.js";
import { openWebSocketLink } from "../../../../web/link/websocket-link.js";
import { createLinkTransport } from "../../../../web/transport/link-transport.js";
import { FakeClock } from "../../../fakes/fake-clock.js";
import { FakeSocket } from "../../../fakes/fake-socket.js";
import { settled } from "../../../fakes/outcome.js";
import { mutatedMessage } from "../../../fakes/traffic/link-traffic.js";
import { Random } from "../../../fakes/traffic/mutations.js";
import { relayTraffic } from "../../../fakes/traffic/relay-traffic.js";

const seed = 20_120_408;
const mutants = 20_000;
/** After so many messages a link has met most of what it can meet, and the next one is opened. */
const messagesPerLink = 50;

const { stackTraceLimit } = Error;

beforeEach(() => {
  Error.stackTraceLimit = 0;
  vi.stubGlobal("WebSocket", FakeSocket);
});
afterEach(() => {
  Error.stackTraceLimit = stackTraceLimit;
  vi.unstubAllGlobals();
});

/** A page with a stream on a link whose relay talks nonsense. */
class Victim {
  readonly #clock = new FakeClock();
  readonly #transport = createLinkTransport(
    (signal) => openWebSocketLink("http://relay.example", this.#clock, 1_000, signal),
    this.#clock,
  );
  readonly #streams: Stream[] = [];
  socket!: FakeSocket;
  channels = 0;

  async open(): Promise<void> {
    this.#connect();
    await settled();
    this.socket = FakeSocket.last;
    this.socket.open();
    await settled();
  }

  #connect(): void {
    const transport = () => Promise.resolve(this.#transport);
    const stream = openStream({ name: "name", codec: rawCodec, transport, clock: this.#clock, onUnheard: () => {} });
    stream.on("data", () => {}).on("error", () => {});
    stream.write("hello");
    this.#streams.push(stream);
    this.channels += 1;
  }

  /** Goes on with another stream, on a channel of its own; whether the link is still there. */
  async next(): Promise<boolean> {
    this.#connect();
    await settled();
    return this.socket.closeCode === undefined;
  }

  /** Ends it, with all that it waits for. */
  async end(): Promise<void> {
    for (const stream of this.#streams) stream.destroy();
    this.#clock.advance(60_000);
    await settled();
    expect(await Promise.allSettled(this.#streams.map(({ closed }) => closed))).toHaveLength(this.#streams.length);
    expect(this.#clock.timers).toBe(0);
  }
}

test("20,000 mutated messages of a relay do a page no harm", { timeout: 60_000 }, async () => {
  const counts = { kept: 0, closed: 0 };
  for (let at = 0; at < mutants; ) {
    const victim = new Victim();
    await victim.open();
    const until = at + messagesPerLink;
    while (at < until) {
      const random = new Random(seed + at);
      try {
        victim.socket.say(mutatedMessage(relayTraffic(victim.channels, random), random));
      } catch (cause) {
        throw new Error(`the message of seed ${seed + at} made the link throw`, { cause });
      }
      at += 1;
      if (await victim.next()) counts.kept += 1;
      else {
        counts.closed += 1;
        break;
      }
    }
    await victim.end();
  }
  // Else the mutations would be too coarse, or too mild.
  expect(counts.kept).toBeGreaterThan(mutants / 4);
  expect(counts.closed).toBeGreaterThan(mutants / 50);
});
