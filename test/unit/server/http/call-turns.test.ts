import { expect, test } from "vitest";
import { CallTurns, callsPerTurn } from "../../../../server/http/call-turns.js";

const turn = () => new Promise<void>((resolve) => setImmediate(resolve));
const calls = 2 * callsPerTurn + 3;

test("CallTurns.run begins so many calls of a connection in a turn, in their order, and all of them in the end", async () => {
  const turns = new CallTurns();
  const session = {};
  const begun: number[] = [];
  const ran = Array.from({ length: calls }, (_, call) => turns.run(session, () => begun.push(call)));
  expect(begun).toHaveLength(callsPerTurn);
  // Another connection does not wait for this one.
  turns.run({}, () => begun.push(-1));
  expect(begun.pop()).toBe(-1);
  await turn();
  expect(begun).toHaveLength(2 * callsPerTurn);
  turns.run(session, () => begun.push(calls));
  await turn();
  expect(begun).toEqual(Array.from({ length: calls + 1 }, (_, call) => call));
  expect(await Promise.all(ran)).toEqual(begun.slice(0, calls).map((call) => call + 1));
  await turn();
  turns.run(session, () => begun.push(-1));
  expect(begun.at(-1)).toBe(-1);
});
