import { expect, test } from "vitest";
import { defaultLimits } from "../../../../../server/admission/limits.js";
import type { Role } from "../../../../../server/relay/stream/half.js";
import { TokenSigner } from "../../../../../server/relay/token.js";
import { ModelEndpoint } from "../../../../fakes/endpoint/model-endpoint.js";
import { newRelay, resumableStream } from "../../../../fakes/relays.js";
import { Random } from "../../../../fakes/traffic/mutations.js";

const walks = 3_000;
const maxSteps = 60;
/** In so many rounds all that is under way arrives, and each endpoint comes back. */
const maxRounds = 40;

type Event = "write" | "fin" | "ack" | "cut" | "notice" | "come back" | "arrive" | "hear" | "restart";
const often: readonly Event[] = ["write", "write", "ack", "arrive", "arrive", "hear", "hear"];
const events: readonly Event[] = [...often, ...often, "fin", "cut", "notice", "come back", "come back", "restart"];

const settling: readonly Event[] = ["notice", "come back", "ack", "arrive", "hear", "arrive", "hear", "hear"];

/** A stream of two endpoints through a relay, which may be restarted with the same key. */
function play(seed: number): void {
  const random = new Random(seed);
  const keys = [new Uint8Array(32).fill(7)] as const;
  const { splice, lease, ...first } = resumableStream({}, new TokenSigner(keys));
  let { relay, clock } = first;
  const endpointOf = (role: Role) => new ModelEndpoint(role, relay.legToken(role, splice.id));
  const endpoints = { client: endpointOf("client"), listener: endpointOf("listener") };
  const both = Object.values(endpoints);
  endpoints.client.begin(splice.client);
  endpoints.listener.begin(splice.listener);
  const steps: string[] = [];
  const comeBack = (endpoint: ModelEndpoint) => {
    try {
      endpoint.comeBack(relay, splice.id);
    } catch (reason) {
      // The stream has ended well, and this endpoint did not hear of it.
      if (!endpoint.isClosed) throw reason;
      endpoint.state = "over";
    }
  };
  const doNext = (endpoint: ModelEndpoint, event: Event) => {
    if (event === "write") endpoint.write();
    if (event === "fin") endpoint.write(true);
    if (event === "ack") endpoint.acknowledge();
    if (event === "cut") endpoint.cut();
    if (event === "notice") for (const leg of endpoint.legs) leg.notice();
    if (event === "come back") comeBack(endpoint);
    if (event === "arrive") for (const leg of endpoint.legs) leg.arrive();
    if (event === "hear") endpoint.hear();
    if (event === "restart" && random.chance(20)) {
      for (const each of both) each.kill();
      ({ relay, clock } = newRelay({}, new TokenSigner(keys)));
    }
    endpoint.finish();
  };
  try {
    for (let step = 0; step < maxSteps; step += 1) {
      const [endpoint, event] = [random.pick(both), random.pick(events)];
      steps.push(`${endpoint.role} ${event}`);
      doNext(endpoint, event);
    }
    for (const endpoint of both) endpoint.write(true);
    for (let round = 0; round < maxRounds && both.some(({ state }) => state !== "over"); round += 1) {
      for (const endpoint of both) {
        for (const event of settling) doNext(endpoint, event);
      }
    }
    // An endpoint that has not heard of the end may have made the stream anew, for itself alone.
    clock.advance(defaultLimits.graceMs);
    for (const endpoint of both) for (const _ of settling) endpoint.hear();
    const { client, listener } = endpoints;
    expect([client.state, listener.state]).toEqual(["over", "over"]);
    expect([client.received, listener.received]).toEqual([listener.sent, client.sent]);
    expect(relay.counts.streams).toBe(0);
    expect(clock.timers).toBe(0);
    expect(lease.offers).toBe(0);
  } catch (reason) {
    throw new Error(`seed ${seed}: ${steps.join(", ")}: ${reason}`, { cause: reason });
  }
}

test(`Splice delivers everything once and in order in ${walks} walks of cuts, fences and restarts`, () => {
  for (let seed = 1; seed <= walks; seed += 1) play(seed);
});
