import { createRouterTransport } from "@connectrpc/connect";
import { beforeEach, describe, expect, test } from "vitest";
import { RelayService, type RenewRequest } from "../../../../gen/streamserver/v1/relay_pb.js";
import { sharedToken, TokenRenewal } from "../../../../web/api/access-token.js";
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
    return { accessExpiresInMs: goodForMs, token: `leg ${renewals.length}` };
  });
});
let proof: { streamId: string; legToken: string };
const onToken = (legToken: string) => {
  proof = { ...proof, legToken };
};
const renewed = () => ({ transport, proof, onToken });
const newRenewal = (token = (): string | Promise<string> => `token ${++asked}`) =>
  new TokenRenewal(token, clock, renewed);

/** Lets time pass, and what was due then happen. */
async function pass(ms: number): Promise<void> {
  clock.advance(ms);
  await settled();
  await settled();
}

beforeEach(() => {
  clock = new FakeClock();
  [renewals, goodForMs, asked] = [[], 60_000, 0];
  proof = { streamId: "id", legToken: "leg" };
});

test("sharedToken asks once for all who need a newer token within a second", async () => {
  const token = sharedToken(async () => `token ${++asked}`, clock) as () => Promise<string>;
  expect(await Promise.all([token(), token()])).toEqual(["token 1", "token 1"]);
  clock.advance(1_000);
  expect(await token()).toBe("token 1");
  clock.advance(1);
  expect(await token()).toBe("token 2");
  expect(sharedToken("text", clock)).toBeUndefined();
});

describe("TokenRenewal", () => {
  test("shows a newer token when three quarters of the time are over, again and again", async () => {
    newRenewal().expect(60_000);
    await pass(44_999);
    expect(renewals).toEqual([]);
    await pass(1);
    await pass(45_000);
    // The proof of each is the token that the relay has answered the one before with.
    expect(renewals).toMatchObject([
      { streamId: "id", legToken: "leg", accessToken: "token 1" },
      { streamId: "id", legToken: "leg 1", accessToken: "token 2" },
    ]);
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
    new TokenRenewal("token", clock, renewed).expect(60_000);
    await pass(120_000);
    expect([renewals.length, clock.timers]).toEqual([1, 0]);
  });
});
