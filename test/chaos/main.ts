// `npm run test:chaos` runs this program. It ends with exit code 1 if anything was lost, doubled, or waits for ever.
import type { Carrier } from "./carriers.ts";
import { Figures } from "./figures.ts";
import { type History, historyText } from "./history/history.ts";
import { knownHistories } from "./history/known-histories.ts";
import { shrink } from "./history/shrink.ts";
import { type ChaosOptions, readOptions, usage } from "./options.ts";
import { type CarrierRun, figuresText, reportHistories, reportScenario } from "./report.ts";
import { type Failed, runHistories } from "./run.ts";
import type { Scenario } from "./scenarios/scenario.ts";
import { sharedRelay, tryAlone, tryHistory } from "./trial.ts";

function readCommandLine(): ChaosOptions {
  try {
    return readOptions(process.argv.slice(2));
  } catch (error) {
    console.error(`${(error as Error).message}\n\n${usage}`);
    process.exit(2);
  }
}

/** The time in which connections that are idle are closed, those of other libraries included. */
const exitTimeoutMs = 20_000;

const options = readCommandLine();

async function replay(history: History): Promise<number> {
  let failures = 0;
  const figures = new Figures();
  const relay = await sharedRelay(history);
  let left = options.times;
  const work = async () => {
    while (left > 0) {
      left -= 1;
      const problems = await tryHistory(history, figures, relay);
      if (problems.length > 0) failures += 1;
      console.log(problems.length === 0 ? "ok" : `FAILED\n  ${problems.join("\n  ")}`);
    }
  };
  await Promise.all(Array.from({ length: options.concurrency }, work));
  await relay.close();
  console.log(figuresText(figures));
  return failures;
}

async function runScenarios(chosen: readonly Scenario[]): Promise<number> {
  let failures = 0;
  for (const scenario of chosen) {
    console.log(`${scenario.name}: ${scenario.about}`);
    const result = await scenario.run({ isShort: options.isShort });
    const { figures, problems } = result;
    for (const line of figures) console.log(`  ${line}`);
    for (const problem of problems) console.log(`  FAILED  ${problem}`);
    if (problems.length > 0) failures += 1;
    if (options.writesReport) reportScenario(scenario.name, result);
  }
  return failures;
}

/** Plays the histories that have failed once, and resolves with those that fail again. */
async function playKnown(): Promise<Failed[]> {
  const figures = new Figures();
  const outcomes = await Promise.all(
    knownHistories.map(async (history) => ({ seed: 0, history, problems: await tryAlone(history, figures) })),
  );
  const failed = outcomes.filter(({ problems }) => problems.length > 0);
  for (const { history, problems } of failed) {
    console.log(`FAILED  a known history\n  ${problems.join("\n  ")}\n  ${historyText(history)}`);
  }
  return failed;
}

async function runAll(): Promise<number> {
  const { seed, histories, concurrency } = options;
  console.log(`seed ${seed}, ${histories} histories of each carrier`);
  const each = { seed, histories, concurrency: Math.ceil(concurrency / options.carriers.length), maxFailures: 10 };
  const failed = await playKnown();
  const runOne = async (carrier: Carrier): Promise<CarrierRun> => {
    const figures = new Figures();
    const startMs = performance.now();
    const failedNow = await runHistories(carrier, each, figures);
    const seconds = ((performance.now() - startMs) / 1_000).toFixed(0);
    console.log(`${carrier}: ${failedNow.length} failed, in ${seconds} s\n${figuresText(figures)}`);
    failed.push(...failedNow);
    return { carrier, figures, failed: failedNow.length };
  };
  const runs = await Promise.all(options.carriers.map(runOne));
  if (options.writesReport) reportHistories(seed, runs);
  const [first] = failed;
  if (first !== undefined && options.shrinks) {
    console.log("Shrinking the first history that failed …");
    const shortest = await shrink(first.history);
    console.log(`To replay: npm run test:chaos -- --times 5 --replay ${JSON.stringify(historyText(shortest))}`);
  }
  return failed.length;
}

async function run(): Promise<number> {
  if (options.replay !== undefined) return replay(options.replay);
  return options.scenarios.length > 0 ? runScenarios(options.scenarios) : runAll();
}

// The session manager of connect-node stops listening for errors before its session has closed.
process.on("uncaughtException", (error) => {
  if (error.stack?.includes("ClientHttp2Session") || (error as NodeJS.ErrnoException).syscall === "read") return;
  console.log(`FAILED  ${error.stack}`);
  process.exit(1);
});
process.exitCode = (await run()) > 0 ? 1 : 0;

// Node 24 can loop for ever over a reset HTTP/2 socket while it frees its environment, which this skips.
process.once("beforeExit", () => process.exit());
// Nothing that is left may keep the process from ending by itself.
setTimeout(() => {
  console.log(`FAILED  the process does not end by itself: ${process.getActiveResourcesInfo().join(", ")}`);
  process.exit(1);
}, exitTimeoutMs).unref();
