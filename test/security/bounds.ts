import { type Attack, type Extent, mebibyte } from "./attack.ts";
import type { Measurement } from "./stage.ts";

/**
 * A turn of the loop, and a round trip, are as long as the machine lets them be, and in the gate other processes may
 * want it too. A server that stalls takes longer still. The bounds of the report hold where the attack has it to
 * itself.
 */
const busyMachine = { turn: 10, roundTrip: 4 };

/** Returns what is not as it has to be, a line each. */
export function problemsOf(attack: Attack, measured: Measurement, extent: Extent): string[] {
  const { bounds, expected } = attack;
  const { outcome, peakBytes, heldBytes, longestTurnMs, bystander, left } = measured;
  const problems: string[] = [];
  const atMost = (what: string, value: number, bound: number) => {
    // A figure that was not measured is a problem too.
    if (!(value <= bound)) problems.push(`${what} was ${value}, and ${bound} is the most`);
  };
  if (outcome.kind !== expected) problems.push(`the attacker was ${outcome.kind}, and not ${expected}`);
  if (outcome.kind === "cut off") atMost("the time to cut off, in ms,", outcome.afterMs, bounds.cutOffMs);
  atMost("the growth of the memory, in MiB,", peakBytes / mebibyte, bounds.peakBytes / mebibyte);
  if (bounds.heldBytes !== undefined)
    atMost("the memory held afterwards, in MiB,", heldBytes / mebibyte, bounds.heldBytes / mebibyte);
  if (outcome.kind === "endured") problems.push(...(outcome.problems ?? []));
  if (left.length > 0) problems.push(`the relay still holds ${left.join(", ")}`);
  const slack = extent === "short" ? busyMachine : { turn: 1, roundTrip: 1 };
  atMost("the longest turn, in ms,", longestTurnMs, slack.turn * bounds.turnMs);
  if (bystander !== undefined)
    atMost("p99 of others, in ms,", bystander.roundTripsMs.p99, slack.roundTrip * bounds.roundTripMs);
  return problems;
}
