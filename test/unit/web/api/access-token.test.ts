import { createRouterTransport } from "@connectrpc/connect";
import { beforeEach, describe, expect, test } from "vitest";
import { RelayService, type RenewRequest } from "../../../../gen/streamserver/v1/relay_pb.js";
import { TokenRenewal } from "../../../../web/api/access-token.js";
import { FakeClock } from "../../../fakes/fake-clock.js";
import { settled } from "../../../fakes/outcome.js";

let clock: FakeClock;
let renewals: RenewRequest[];
/** The relay's answer, in milliseconds; none, and it refuses. */
let goodForMs: number | undefined;
let asked: number;

const transport = createRouterTransport(({ rpc }) => {
  rpc(RelayService.method.renew, (request) => {
    renewals.push(request);
    if (goodForMs === undefined) throw new Error("the relay is away");
    return { accessExpiresInMs: goodForMs };
  });
});
const proof = { streamId: "id", legToken: "leg" };
const newRenewal = (token = (): string | Promise<string> => `token ${++asked}`) =>
  new TokenRenewal(token, clock, () => ({ transport, proof }));

/** Lets time pass, and what was due then happen. */
async function pass(ms: number): Promise<void> {
  clock.advance(ms);
  await settled();
  await settled();
}

beforeEach(() => {
  clock = new FakeClock();
  [renewals, goodForMs, asked] = [[], 60_000, 0];
});

describe("TokenRenewal", () => {
  test("shows a newer token when three quarters of the time are over, again and again", async () => {
    newRenewal().expect(60_000);
    await pass(44_999);
    expect(renewals).toEqual([]);
    await pass(1);
    expect(renewals).toMatchObject([{ ...proof, accessToken: "token 1" }]);
    await pass(45_000);
    expect(renewals.map(({ accessToken }) => accessToken)).toEqual(["token 1", "token 2"]);
    goodForMs = 0;
    await pass(45_000);
    expect([renewals.length, clock.timers]).toEqual([3, 0]);
  });

  test("tries again in what is left of the time, and leaves less than a second to end", async () => {
    goodForMs = undefined;
    newRenewal().expect(60_000);
    for (const [ms, calls] of [
      [45_000, 1],
      [11_250, 2],
      [2_813, 3],
      [1_000, 3],
    ] as const) {
      await pass(ms);
      expect(renewals).toHaveLength(calls);
    }
    expect(clock.timers).toBe(0);
  });

  test("tries again where the function has no token, and goes on when it has", async () => {
    newRenewal(() => (++asked === 1 ? Promise.reject(new Error("logged out")) : "token")).expect(60_000);
    await pass(45_000);
    expect(renewals).toEqual([]);
    await pass(11_250);
    expect(renewals).toMatchObject([{ accessToken: "token" }]);
  });

  test("does nothing after stop, also while the relay has still to answer, nor with a token that is text", async () => {
    const renewal = newRenewal();
    renewal.expect(60_000);
    clock.advance(45_000);
    renewal.stop();
    await settled();
    await settled();
    new TokenRenewal("token", clock, () => ({ transport, proof })).expect(60_000);
    await pass(120_000);
    expect([renewals.length, clock.timers]).toEqual([1, 0]);
  });
});
