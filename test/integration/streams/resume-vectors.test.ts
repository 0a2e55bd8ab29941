import { readFileSync } from "node:fs";
import { fromBinary } from "@bufbuild/protobuf";
import { type Client, createClient, type Transport } from "@connectrpc/connect";
import { FailureDetailSchema, RelayService } from "browser-stream-server/gen";
import { afterEach, expect, test } from "vitest";
import {
  ConnectRequestSchema,
  ConnectResponseSchema,
  RejectRequestSchema,
} from "../../../gen/streamserver/v1/relay_pb.js";
import { envelope } from "../../../leg/envelope.js";
import { proof, RawListener } from "../raw-calls.js";
import { openRelay, type TestRelay } from "../relay-ports.js";
import { until } from "../until.js";
import { http2Ways } from "../ways.js";
import { carriers, WireLeg } from "../wire-leg.js";

type Side = "client" | "listener";
type Step = { at: Side } & (
  | CarriedStep
  | { does: "breaks" | "completes"; leg: number }
  | { does: "is refused"; leg: number; detail: VectorMessage }
  | { does: "calls"; message: VectorMessage }
  | { does: "is offered" | "closes" }
);

interface VectorMessage {
  bytes: string;
}

interface CarriedStep {
  at: Side;
  does: "sends" | "gets";
  leg: number;
  message: VectorMessage;
}

interface Vector {
  title: string;
  steps: Step[];
}

const file = new URL("../../../docs/resume-vectors.json", import.meta.url);
const vectors: Vector[] = JSON.parse(readFileSync(file, "utf8"));

const name = "demo";
const [carrier] = carriers;
const rpcs = { client: "Connect", listener: "Accept" } as const;
const closers: (() => Promise<void> | void)[] = [];

afterEach(async () => {
  for (const close of closers.splice(0).reverse()) await close();
});

const bytesOf = ({ bytes }: VectorMessage) => Buffer.from(bytes, "hex");

/** Vectors that need more than the two endpoints and a relay, or in which one of the endpoints has no steps. */
const notPlayed = [
  "an attempt gets no answer, and another one breaks before the stream is resumed",
  "a leg breaks between two parts of a message",
  "the last ack is lost, and the stream has ended well",
  "a gap after an own resume is dropped",
  "a gap without an own resume is an error",
  "the newest leg is fenced",
  "the stream has ended, and the relay knows how much arrived",
  "the relay was restarted without its key",
  "the grace period of the peer is over",
];
const played = vectors.filter(({ title }) => !notPlayed.includes(title));

/** Plays both endpoints of a vector to a relay, byte for byte but for its ids and tokens, which are the relay's own. */
class RelayedVector {
  readonly #steps: Step[];
  readonly #relay: TestRelay;
  readonly #calls: Client<typeof RelayService>;
  readonly #listening: RawListener;
  readonly #legs: Record<Side, WireLeg[]> = { client: [], listener: [] };
  readonly #proofs: Record<Side, { streamId: string; legToken: string }> = {
    client: { streamId: "", legToken: "" },
    listener: { streamId: "", legToken: "" },
  };
  /** Frames that the relay gets when their peer has a leg again. */
  readonly #held = new Map<string, CarriedStep[]>();

  constructor({ steps }: Vector, relay: TestRelay) {
    this.#steps = steps;
    this.#relay = relay;
    const way = http2Ways["Connect over HTTP/2"](relay.url);
    closers.push(() => way.close());
    this.#calls = createClient(RelayService, way.transport as Transport);
    this.#listening = new RawListener(this.#calls, name);
    closers.push(() => this.#listening.close());
  }

  async play(): Promise<void> {
    await this.#listening.event("registered");
    for (const [at, step] of this.#steps.entries()) {
      try {
        await this.#playStep(step, at);
      } catch (cause) {
        throw new Error(`step ${at + 1}, ${JSON.stringify(step)}`, { cause });
      }
    }
  }

  async #playStep(step: Step, at: number): Promise<void> {
    if (step.does === "is offered") this.#proofs.listener = proof(await this.#listening.event("offer"));
    else if (step.does === "sends") await this.#sends(step, at);
    else if (step.does === "gets") await this.#gets(step);
    else if (step.does === "breaks") await this.#breaks(step, at);
    else if (step.does === "is refused") {
      const { failure } = fromBinary(FailureDetailSchema, bytesOf(step.detail));
      expect(await this.#leg(step).next()).toBe(failure);
    } else if (step.does === "completes") expect(await this.#leg(step).next()).toBe("well");
    else if (step.does === "closes") this.#legs[step.at].at(-1)?.endRequest();
    else if (step.does === "calls") {
      await this.#calls.reject({ ...fromBinary(RejectRequestSchema, bytesOf(step.message)), ...this.#proofs[step.at] });
    }
  }

  #leg({ at, leg }: { at: Side; leg: number }): WireLeg {
    return this.#legs[at][leg] as WireLeg;
  }

  async #sends(step: CarriedStep, at: number): Promise<void> {
    const { message } = fromBinary(ConnectRequestSchema, bytesOf(step.message));
    if (message.case === "open") {
      const leg = await WireLeg.open(carrier as (typeof carriers)[number], this.#relay, rpcs[step.at]);
      closers.push(() => leg.close());
      this.#legs[step.at].push(leg);
      return leg.write(leg.encoded({ case: "open", value: { ...message.value, ...this.#proofs[step.at] } }));
    }
    const later = this.#steps.slice(at + 1);
    const arrival = later.findIndex((other) => other.does === "gets" && other.at !== step.at && isSame(other, step));
    const end = later.findIndex((other) => other.does === "breaks");
    const isLost = arrival < 0 || this.#isRepeated(step, at);
    if (isLost && later[end]?.at === step.at) return; // It never reaches the relay.
    if (!isLost && end >= 0 && end < arrival && later[end]?.at !== step.at) {
      const key = step.message.bytes;
      this.#held.set(key, [...(this.#held.get(key) ?? []), step]);
      return;
    }
    this.#leg(step).write(envelope(0, bytesOf(step.message)));
    // It reaches the leg of its peer, and is lost there.
    if (isLost) expect(await this.#legs[other(step.at)].at(-1)?.next()).toMatchObject({ case: "frame" });
  }

  /** Whether a later step sends the same bytes again, which are those that arrive. */
  #isRepeated(step: CarriedStep, at: number): boolean {
    return this.#steps
      .slice(at + 1)
      .some((other) => other.does === "sends" && other.at === step.at && isSame(other, step));
  }

  async #gets(step: CarriedStep): Promise<void> {
    const [held, ...rest] = this.#held.get(step.message.bytes) ?? [];
    if (held !== undefined) {
      this.#held.set(step.message.bytes, rest);
      this.#leg(held).write(envelope(0, bytesOf(held.message)));
    }
    const { message: expected } = fromBinary(ConnectResponseSchema, bytesOf(step.message));
    const got = await this.#leg(step).next();
    if (typeof got !== "object") throw new Error(`the leg ended with ${got}`);
    expect(got.case).toBe(expected.case);
    if (got.case === "opened") this.#proofs[step.at] = { streamId: got.value.streamId, legToken: got.value.legToken };
    else if (got.case !== "suspended") expect(got).toEqual(expected);
  }

  /** The relay notices it, unless the steps say that the old leg looks alive. */
  async #breaks(step: { at: Side; leg: number }, at: number): Promise<void> {
    const looksAlive = this.#steps
      .slice(at + 1)
      .some((later) => later.at === step.at && "leg" in later && later.leg === step.leg);
    if (looksAlive) return;
    const { legs } = this.#relay.proxy.counts;
    this.#leg(step).close();
    await until(() => this.#relay.proxy.counts.legs < legs);
  }
}

const other = (side: Side): Side => (side === "client" ? "listener" : "client");
const isSame = (one: CarriedStep, another: CarriedStep) => one.message.bytes === another.message.bytes;

test.each(played)("$title: a relay does the same", async (vector) => {
  const relay = await openRelay();
  closers.push(() => relay.close());
  await new RelayedVector(vector, relay).play();
});
