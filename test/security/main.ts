// `npm run test:security` runs this program: the attacks in full, on the relay and on a bare server. It ends with exit
// code 1 if one of them got further than it may.
import { parseArgs } from "node:util";
import { thisMachine } from "../../bench/machine.ts";
import type { Attack } from "./attack.ts";
import { type AttackGroup, groups } from "./attacks.ts";
import { problemsOf } from "./bounds.ts";
import { type Trial, trialText, writeReport } from "./report.ts";
import { type Measurement, Stage } from "./stage.ts";

const usage = `Usage: npm run test:security -- [options]

  --report       writes the figures into docs/security-tests.md, where attacks that are not played keep theirs
  --attack NAME  plays this attack alone; may be repeated
  --short        plays what the gate plays
  --amount N     plays the chosen attacks with this amount
  --seed N       begins with this seed where an attack has random parts
`;

function readOptions() {
  try {
    const options = { report: { type: "boolean" }, short: { type: "boolean" } } as const;
    const numbers = { amount: { type: "string" }, seed: { type: "string" } } as const;
    return parseArgs({ options: { ...options, ...numbers, attack: { type: "string", multiple: true } } }).values;
  } catch (error) {
    console.error(`${(error as Error).message}\n\n${usage}`);
    process.exit(2);
  }
}

const options = readOptions();
const machine = thisMachine();
const extent = options.short ? "short" : "long";
const isChosen = ({ name }: Attack) => options.attack?.includes(name) ?? true;
const seed = options.seed === undefined ? undefined : Number(options.seed);
const amountOf = ({ amount }: Attack) => (options.amount === undefined ? amount[extent] : Number(options.amount));
const trials: Trial[] = [];

async function measureBare(attack: Attack): Promise<Measurement | undefined> {
  if (attack.bare === undefined) return undefined;
  const stage = await Stage.open({ kind: attack.bare });
  const measured = await stage.measure(attack, amountOf(attack), seed);
  await stage.close();
  return measured;
}

/** Plays the chosen attacks of a group on one relay, and each of them on a bare server as well. */
async function play({ attacks, limits, ...group }: AttackGroup): Promise<void> {
  const chosen = attacks.filter(isChosen);
  if (chosen.length === 0) return;
  const stage = await Stage.open({ ...group, limits: limits?.[extent] });
  for (const attack of chosen) {
    const relay = await stage.measure(attack, amountOf(attack), seed);
    const bare = await measureBare(attack);
    const trial = { attack, relay, bare, problems: problemsOf(attack, relay, extent) };
    console.log(trialText(trial));
    trials.push(trial);
  }
  await stage.close();
}

for (const group of groups) await play(group);
const attacks = groups.flatMap((group) => group.attacks);
if (options.report) writeReport(attacks, trials, machine);
process.exitCode = trials.some(({ problems }) => problems.length > 0) ? 1 : 0;
