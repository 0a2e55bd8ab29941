import type { Frame } from "../../gen/streamserver/v1/frame_pb.js";
import type { Lease, LeaseEvent } from "../../server/relay/lease.js";
import { defaultLimits, type RelayLimits } from "../../server/relay/limits.js";
import { Relay } from "../../server/relay/relay.js";
import { messageOf } from "../../server/relay/relayed-frame.js";
import type { Splice } from "../../server/relay/splice.js";
import type { SpliceLeg } from "../../server/relay/splice-leg.js";
import { TokenSigner } from "../../server/relay/token.js";
import { type RelayWarning, Warnings } from "../../server/relay/warnings.js";
import { StreamError } from "../../stream/stream-error.js";
import { FakeClock } from "./fake-clock.js";

/** Milliseconds since 1970, as tokens count them. */
export class FakeEpoch {
  nowMs = 1_800_000_000_000;
}

export interface TestRelay {
  relay: Relay;
  /** What the operator has been told. */
  told: RelayWarning[];
  clock: FakeClock;
  epoch: FakeEpoch;
}

/** A relay without sockets, on a clock of the test's. */
export function newRelay(limits: Partial<RelayLimits> = {}): TestRelay {
  const [clock, epoch] = [new FakeClock(), new FakeEpoch()];
  const signer = new TokenSigner(undefined, () => epoch.nowMs);
  const told: RelayWarning[] = [];
  const warnings = new Warnings(clock, (warning) => told.push(warning));
  const relay = new Relay({ limits: { ...defaultLimits, ...limits }, clock, signer, warnings });
  return { relay, told, clock, epoch };
}

export function connect(relay: Relay, name = "room", metadata: Record<string, string> = {}): Splice {
  return relay.connect({ name, metadata, capabilities: undefined, origin: "" }).splice;
}

export interface Paired extends TestRelay {
  lease: Lease;
  splice: Splice;
  client: SpliceLeg;
  listener: SpliceLeg;
}

/** A stream whose offer waits at its listener. */
export function offeredStream(limits: Partial<RelayLimits> = {}): Paired {
  const test = newRelay(limits);
  const { lease } = test.relay.listen("room", false);
  const splice = connect(test.relay);
  return { ...test, lease, splice, client: splice.client, listener: splice.listener };
}

/** A stream that was accepted. */
export function splicedStream(limits: Partial<RelayLimits> = {}): Paired {
  const offered = offeredStream(limits);
  offered.relay.accept(offered.splice.id, offered.relay.offerToken(offered.splice), undefined);
  return offered;
}

/** What an endpoint hears on its leg, as it comes, and how it ends. */
export class Listening {
  readonly frames: Frame[] = [];
  accepted = 0;
  end: "open" | "well" | StreamError = "open";

  constructor(leg: SpliceLeg) {
    void this.#listen(leg);
  }

  async #listen(leg: SpliceLeg): Promise<void> {
    try {
      for await (const event of leg.events()) {
        if (event.kind === "frame") this.frames.push(messageOf(event.frame));
        else this.accepted += 1;
      }
      this.end = "well";
    } catch (reason) {
      this.end = StreamError.from(reason);
    }
  }
}

/** What a listener hears on its lease, as it comes. */
export function leaseEvents(lease: Lease): LeaseEvent[] {
  const events: LeaseEvent[] = [];
  void (async () => {
    for await (const event of lease.events()) events.push(event);
  })();
  return events;
}
