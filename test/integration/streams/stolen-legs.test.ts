import { type Client, createClient } from "@connectrpc/connect";
import { createConnectTransport } from "@connectrpc/connect-node";
import { Code, Failure } from "browser-stream-server";
import { Feature, RelayService } from "browser-stream-server/gen";
import { afterEach, beforeEach, describe, expect, test } from "vitest";
import { frame, open, proof, RawLeg, RawListener, refusal, refused } from "../raw-calls.js";
import { openRelay, type TestRelay } from "../relay-ports.js";

const capabilities = { features: [Feature.RESUME, Feature.CREDIT, Feature.ACK] };
const closers: (() => unknown)[] = [];

afterEach(async () => {
  for (const close of closers.splice(0).reverse()) await close();
});

async function openTestRelay(): Promise<TestRelay> {
  const relay = await openRelay();
  closers.push(() => relay.close());
  return relay;
}

/** The token of a leg, or of an offer, and the id that came with it. */
interface Proof {
  streamId: string;
  legToken: string;
}

/** A stream between two legs, with what each of them has been told. */
class TestStream {
  readonly #legs: Record<"client" | "listener", RawLeg>;
  readonly offer: Proof;
  readonly client: Proof;
  readonly listener: Proof;
  #sequence = 0;

  constructor(legs: Record<"client" | "listener", RawLeg>, proofs: Record<"offer" | "client" | "listener", Proof>) {
    this.#legs = legs;
    this.offer = proofs.offer;
    this.client = proofs.client;
    this.listener = proofs.listener;
  }

  static async open(relay: Client<typeof RelayService>, listener: RawListener): Promise<TestStream> {
    const client = new RawLeg(relay, "connect", open({ name: "room", capabilities }));
    const ofClient = await client.receive("opened");
    const offer = proof(await listener.event("offer"));
    const accepting = new RawLeg(relay, "accept", open({ ...offer, capabilities }));
    const ofListener = await accepting.receive("opened");
    closers.push(
      () => client.cancel(),
      () => accepting.cancel(),
    );
    const legs = { client, listener: accepting };
    return new TestStream(legs, { offer, client: proofOf(ofClient), listener: proofOf(ofListener) });
  }

  /** Finishes both ways, and resolves when the relay has ended both legs. */
  async finish(): Promise<void> {
    const legs = Object.values(this.#legs);
    for (const leg of legs) leg.send(frame({ sequence: BigInt(this.#sequence + 1), fin: true }));
    for (const leg of legs) leg.endRequest();
    await Promise.all(legs.map(readToEnd));
  }

  /** Sends a message each way, and resolves when both have arrived. */
  async talk(): Promise<void> {
    const { client, listener } = this.#legs;
    this.#sequence += 1;
    for (const leg of [client, listener]) {
      leg.send(frame({ sequence: BigInt(this.#sequence), messages: [{ data: new Uint8Array(8) }] }));
    }
    for (const leg of [client, listener]) {
      expect((await leg.receive("frame")).sequence).toBe(BigInt(this.#sequence));
    }
  }
}

async function readToEnd(leg: RawLeg): Promise<void> {
  for await (const _ of leg.rest());
}

const proofOf = ({ streamId, legToken }: Proof): Proof => ({ streamId, legToken });

let relay: Client<typeof RelayService>;
let stream: TestStream;
let other: TestStream;

function clientOf({ url }: TestRelay): Client<typeof RelayService> {
  return createClient(RelayService, createConnectTransport({ baseUrl: url, httpVersion: "2" }));
}

beforeEach(async () => {
  relay = clientOf(await openTestRelay());
  const listener = new RawListener(relay, "room");
  await listener.event("registered");
  closers.push(() => listener.close());
  [stream, other] = [await TestStream.open(relay, listener), await TestStream.open(relay, listener)];
});

/** The answer to a leg that comes with a token. */
function answer(rpc: "connect" | "accept", given: Proof, generation?: number, client = relay) {
  const resume = generation === undefined ? {} : { resume: { generation, receivedSequence: 0n } };
  return refused(new RawLeg(client, rpc, open({ ...given, capabilities, ...resume })).rest());
}

const invalid = refusal(Code.PermissionDenied, Failure.TOKEN_INVALID);
const offerGone = refusal(Code.FailedPrecondition, Failure.OFFER_GONE);
const streamGone = refusal(Code.NotFound, Failure.STREAM_GONE);

describe("a leg token in wrong hands", () => {
  afterEach(() => other.talk());

  test("opens no leg for the other role", async () => {
    expect(await answer("connect", stream.listener, 1)).toEqual(invalid);
    expect(await answer("connect", stream.offer, 1)).toEqual(invalid);
    expect(await answer("accept", stream.client, 1)).toEqual(invalid);
    expect(await answer("accept", stream.client)).toEqual(invalid);
    await stream.talk();
  });

  test("opens no leg of another stream, and does not end it", async () => {
    const { streamId } = other.client;
    for (const { legToken } of [stream.client, stream.listener, stream.offer]) {
      const mixed = { streamId, legToken };
      expect(await answer("connect", mixed, 1)).toEqual(invalid);
      expect(await answer("accept", mixed, 1)).toEqual(invalid);
      expect(await refused(relay.reject({ ...mixed, code: Code.Aborted }))).toEqual(invalid);
    }
    await stream.talk();
  });

  test("takes an offer once, and the place of a leg once for each generation", async () => {
    expect(await answer("accept", stream.offer)).toEqual(offerGone);
    await stream.talk();
    const resume = { generation: 5, receivedSequence: 0n };
    const again = new RawLeg(relay, "connect", open({ ...stream.client, capabilities, resume }));
    await again.receive("opened");
    closers.push(() => again.cancel());
    const fenced = refusal(Code.Aborted, Failure.FENCED);
    for (const generation of [5, 4, 1]) expect(await answer("connect", stream.client, generation)).toEqual(fenced);
    expect(await answer("connect", stream.client, 0)).toEqual(fenced);
  });

  test("finds nothing after the end of its stream", async () => {
    await stream.finish();
    for (const rpc of ["connect", "accept"] as const) {
      const ofRole = rpc === "connect" ? stream.client : stream.listener;
      expect(await answer(rpc, ofRole, 9)).toEqual(streamGone);
      expect(await refused(relay.reject({ ...ofRole, code: Code.Aborted }))).toEqual(offerGone);
      expect(await refused(relay.renew({ ...ofRole, accessToken: "x" }))).toEqual(streamGone);
    }
    expect(await answer("accept", stream.offer)).toEqual(offerGone);
  });

  test("is none at a relay with other keys", async () => {
    const elsewhere = clientOf(await openTestRelay());
    for (const generation of [undefined, 1]) {
      expect(await answer("accept", stream.listener, generation, elsewhere)).toEqual(invalid);
    }
    expect(await answer("connect", stream.client, 1, elsewhere)).toEqual(invalid);
    expect(await refused(elsewhere.reject({ ...stream.client, code: Code.Aborted }))).toEqual(invalid);
    await stream.talk();
  });
});
