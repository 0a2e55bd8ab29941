import fc from "fast-check";
import { expect, test } from "vitest";
import { Failure } from "../../../../gen/streamserver/v1/failure_pb.js";
import type { EndpointState } from "../../../../stream/endpoint/endpoint.js";
import { StreamError } from "../../../../stream/error/stream-error.js";
import { type RelayedSide, relayedSides } from "../../../fakes/endpoint/relayed-endpoints.js";
import type { Side, Value } from "../../../fakes/endpoint/two-endpoints.js";
import { errorOf } from "../../../fakes/violation.js";

const windowBytes = 65_536;

const sizes = fc.oneof(
  { weight: 1, arbitrary: fc.constant(0) },
  { weight: 8, arbitrary: fc.nat(300) },
  { weight: 2, arbitrary: fc.nat(20_000) },
  { weight: 1, arbitrary: fc.nat(2 * windowBytes) },
);
function patterned(bytes: number, first: number): Uint8Array<ArrayBuffer> {
  const message = new Uint8Array(bytes);
  for (let at = 0; at < bytes; at += 1) message[at] = first + at;
  return message;
}

const messages = fc.array(
  fc.tuple(fc.nat(255), sizes).map(([first, bytes]): Value => patterned(bytes, first)),
  { maxLength: 16, size: "max" },
);

const oneSided = ["write", "take", "forward", "pass", "hear", "read", "acknowledge"] as const;
const breaks = ["cut", "relayNotices", "endpointNotices", "attach"] as const;
type Step = (typeof oneSided)[number] | (typeof breaks)[number] | "travel" | "repair" | "restart";
/** A frame goes all the way ("travel"), or is at any place on it when a leg breaks. */
const step: fc.Arbitrary<Step> = fc.oneof(
  { weight: 10, arbitrary: fc.constantFrom(...oneSided) },
  { weight: 8, arbitrary: fc.constant("travel" as const) },
  { weight: 2, arbitrary: fc.constantFrom(...breaks) },
  { weight: 2, arbitrary: fc.constant("repair" as const) },
  { weight: 1, arbitrary: fc.constant("restart" as const) },
);

const world = fc.record({
  messages: fc.tuple(messages, messages),
  maxFrameBytes: fc.constantFrom(4_096, 16_384, 65_536),
  windowBytes: fc.tuple(fc.constantFrom(windowBytes, 90_001), fc.constantFrom(windowBytes, 262_144)),
  acknowledgeEnd: fc.tuple(fc.constantFrom("received", "read"), fc.constantFrom("received", "read")),
  schedule: fc.array(fc.record({ step, who: fc.constantFrom(0, 1), times: fc.integer({ min: 1, max: 5 }) }), {
    maxLength: 150,
    size: "max",
  }),
});

type World = typeof world extends fc.Arbitrary<infer T> ? T : never;

/** The two sides after the schedule of a world, whose bounds hold at every moment. */
function played(init: World): { a: RelayedSide; b: RelayedSide; check: () => void } {
  const side = (at: 0 | 1) => ({
    messages: init.messages[at],
    maxFrameBytes: init.maxFrameBytes,
    windowBytes: init.windowBytes[at],
    acknowledgeEnd: init.acknowledgeEnd[at],
  });
  const [a, b] = relayedSides([side(0), side(1)]);
  const check = () => {
    checkBounds(a.side, init.windowBytes[1]);
    checkBounds(b.side, init.windowBytes[0]);
  };
  for (const { step, who, times } of init.schedule) {
    const [self, peer] = who === 0 ? [a, b] : [b, a];
    for (let nth = 0; nth < times; nth += 1) {
      perform(step, self, peer);
      check();
    }
  }
  return { a, b, check };
}

function perform(step: Step, self: RelayedSide, peer: RelayedSide): void {
  if (step === "write") self.side.write();
  else if (step === "read") self.side.readFrom(peer.side);
  else if (step === "acknowledge") self.side.endpoint.acknowledge();
  else if (step === "travel") [self.take(), self.forward(), peer.pass(), peer.hear()];
  else if (step === "repair") [self.endpointNotices(), self.attach(), self.hear(), peer.hear()];
  else if (step === "restart") for (const each of [self, peer]) each.forget();
  else self[step]();
}

/** Throws unless the cost of what was sent and of what is kept is within the credit, and nobody has broken a rule. */
function checkBounds({ endpoint, sentBytes, grantedBytes }: Side, peerWindowBytes: number): void {
  if (endpoint.state.kind === "resetting") throw endpoint.state.error;
  if (sentBytes > grantedBytes) throw new RangeError(`sent ${sentBytes} of ${grantedBytes} bytes granted`);
  const { keptBytes } = endpoint;
  if (keptBytes > peerWindowBytes) throw new RangeError(`keeps ${keptBytes} bytes for a window of ${peerWindowBytes}`);
}

/** Everybody does what they can, in turn, until nobody can do anything. A leg that is broken is replaced. */
function runToTheEnd(a: RelayedSide, b: RelayedSide, check: () => void, writes: "all" | "none" = "all"): void {
  const movesOf = (self: RelayedSide, peer: RelayedSide) => [
    self.relayNotices(),
    self.endpointNotices(),
    self.attach(),
    writes === "all" && self.side.write(),
    self.side.readFrom(peer.side),
    self.take(),
    self.forward(),
    self.pass(),
    self.hear(),
  ];
  for (;;) {
    const moves = [...movesOf(a, b), ...movesOf(b, a)];
    check();
    if (moves.includes(true)) continue;
    for (const { side } of [a, b]) side.endpoint.acknowledge();
    if (!a.take() && !b.take()) return;
  }
}

test("Endpoint loses, doubles and reorders nothing when legs break, and keeps no more than its credit", () => {
  let resentFrames = 0;
  fc.assert(
    fc.property(world, (init) => {
      const { a, b, check } = played(init);
      runToTheEnd(a, b, check);
      resentFrames += a.side.resentFrames + b.side.resentFrames;
      expect(b.side.read).toEqual(init.messages[0]);
      expect(a.side.read).toEqual(init.messages[1]);
      expect([a, b].map(kindOf)).toEqual(["closed", "closed"]);
      expect([a, b].map(({ side }) => side.endpoint.keptBytes)).toEqual([0, 0]);
      expect([a, b].map(({ side }) => side.endpoint.delivery)).toEqual(
        init.messages.map(({ length }) => ({ messages: length, isFinal: true })),
      );
    }),
    { seed: 20_120_403, numRuns: 120 },
  );
  expect(resentFrames).toBeGreaterThan(200);
});

function kindOf({ side }: RelayedSide): EndpointState["kind"] {
  return side.endpoint.state.kind;
}

/** Reads all that the endpoints have received, so that `read` is what has reached them. */
function readAll(a: RelayedSide, b: RelayedSide): void {
  while (a.side.readFrom(b.side) || b.side.readFrom(a.side));
}

test("Endpoint.delivery is true when a stream is lost at any moment, and exact when it is final", () => {
  let finals = 0;
  fc.assert(
    fc.property(world, (init) => {
      const { a, b } = played(init);
      readAll(a, b);
      const open = [a, b].filter((self) => kindOf(self) === "open");
      for (const self of open) {
        const { knownSequence } = self === a ? b : a;
        self.end(new StreamError("lost", { failure: Failure.LEG_LOST, receivedSequence: knownSequence || undefined }));
        if (kindOf(self) === "closed") continue;
        const { messages, isFinal } = errorOf(self.side.endpoint).delivery ?? { messages: -1, isFinal: false };
        const reached = (self === a ? b : a).side.read.length;
        expect(messages).toBeLessThanOrEqual(reached);
        if (isFinal) expect(messages).toBe(reached);
        if (isFinal && messages > 0) finals += 1;
      }
    }),
    { seed: 20_120_404, numRuns: 120 },
  );
  expect(finals).toBeGreaterThan(20);
});

test("Endpoint.delivery is exact when the peer resets, however many legs have broken before", () => {
  let known = 0;
  fc.assert(
    fc.property(world, (init) => {
      const { a, b } = played(init);
      fc.pre(kindOf(a) === "open" && kindOf(b) === "open");
      readAll(a, b);
      b.side.endpoint.reset(new StreamError("enough"));
      const reached = b.side.read.length;
      const isHeard = b.side.endpoint.receivedSequence > 0;
      runToTheEnd(a, b, () => {}, "none");
      // The last ack and the fin of the side that resets may have been on their way.
      if (kindOf(a) === "closed") {
        expect(reached).toBe(init.messages[0].length);
        return;
      }
      expect(errorOf(a.side.endpoint)).toMatchObject({ message: "enough" });
      const { messages, isFinal } = errorOf(a.side.endpoint).delivery ?? { messages: -1, isFinal: false };
      expect(messages).toBe(reached);
      if (isHeard) expect(isFinal).toBe(true);
      if (reached > 0) known += 1;
    }),
    { seed: 20_120_405, numRuns: 120 },
  );
  expect(known).toBeGreaterThan(30);
});
