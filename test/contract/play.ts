import { StreamError, type StreamServer, type TransportKind } from "browser-stream-server";
import { contract } from "./contract.js";
import type { ContractCase } from "./contract-case.js";
import { Party, type Role } from "./party.js";
import { type Reach, reachOver } from "./reach.js";
import { transportOf, type WebWay } from "./web-way.js";

export { transportOf } from "./web-way.js";

/** The outcome of a case, which JSON can carry. `transport` is the way in which this party's streams travelled. */
export type Outcome = { passed: true; transport?: TransportKind | undefined } | { passed: false; why: string };

/** Returns the reasons of the outcomes that did not pass. */
export function failuresOf(outcomes: readonly Outcome[]): string[] {
  return outcomes.flatMap((outcome) => (outcome.passed ? [] : [outcome.why]));
}

const deadlineMs = 20_000;

/** Plays one party's part of a case over a way that every program has. */
export function play(role: Role, caseName: string, name: string, way: WebWay): Promise<Outcome> {
  const contractCase = contract.find((one) => one.name === caseName);
  if (contractCase === undefined) throw new Error(`the contract has no case ${JSON.stringify(caseName)}`);
  return playOver(reachOver(transportOf(way)), role, contractCase, name);
}

/** Plays one party's part of a case: never rejects. The other is played under the same name, before or after. */
export async function playOver(reach: Reach, role: Role, contractCase: ContractCase, name: string): Promise<Outcome> {
  const party = new Party(name, reach);
  let timer: ReturnType<typeof setTimeout> | undefined;
  const deadline = new Promise<never>((_, reject) => {
    const late = () => reject(new Error(`no end after ${deadlineMs} ms; last was ${JSON.stringify(party.lastWord)}`));
    timer = setTimeout(late, deadlineMs);
  });
  try {
    await Promise.race([playPart(party, role, contractCase), deadline]);
    return { passed: true, transport: party.transport };
  } catch (reason) {
    const why = `the ${role}: ${describe(reason)}`;
    // Nothing is told to a relay that does not answer: the outcome is not to wait for it.
    void party.fail(why);
    return { passed: false, why };
  } finally {
    clearTimeout(timer);
  }
}

async function playPart(party: Party, role: Role, { listen, connect }: ContractCase): Promise<void> {
  if (role === "listener") {
    const server: StreamServer = party.listen();
    await party.awaitOther(server);
    await listen(party, server);
  } else {
    await party.findOther();
    await connect(party);
  }
  await party.leave();
}

function describe(reason: unknown): string {
  if (reason instanceof StreamError) return `${reason.message} (code ${reason.code}, failure ${reason.failure})`;
  return reason instanceof Error ? reason.message : String(reason);
}
