// `npm run test:chaos` runs this program. It ends with exit code 1 if anything was lost, doubled, or waits for ever.
import { Figures } from "./figures.ts";
import { historyText } from "./history.ts";
import { readOptions, usage } from "./options.ts";
import { figuresText } from "./report.ts";
import { type Failed, runHistories } from "./run.ts";
import { shrink } from "./shrink.ts";
import { tryAlone } from "./trial.ts";

function readCommandLine() {
  try {
    return readOptions(process.argv.slice(2));
  } catch (error) {
    console.error(`${(error as Error).message}\n\n${usage}`);
    process.exit(2);
  }
}

const options = readCommandLine();

async function replay(): Promise<number> {
  if (options.replay === undefined) return 0;
  let failures = 0;
  const figures = new Figures();
  for (let time = 0; time < options.times; time += 1) {
    const problems = await tryAlone(options.replay, figures);
    if (problems.length > 0) failures += 1;
    console.log(problems.length === 0 ? "ok" : `FAILED\n  ${problems.join("\n  ")}`);
  }
  console.log(figuresText(figures));
  return failures;
}

async function runAll(): Promise<number> {
  const { seed, histories, concurrency } = options;
  console.log(`seed ${seed}, ${histories} histories of each carrier`);
  const failed: Failed[] = [];
  for (const carrier of options.carriers) {
    const figures = new Figures();
    const startMs = performance.now();
    const failedNow = await runHistories(carrier, { seed, histories, concurrency, maxFailures: 10 }, figures);
    const seconds = ((performance.now() - startMs) / 1_000).toFixed(0);
    console.log(`${carrier}: ${failedNow.length} failed, in ${seconds} s\n${figuresText(figures)}`);
    failed.push(...failedNow);
  }
  const [first] = failed;
  if (first !== undefined) {
    console.log("Shrinking the first history that failed …");
    const shortest = await shrink(first.history);
    console.log(`To replay: npm run test:chaos -- --times 5 --replay ${JSON.stringify(historyText(shortest))}`);
  }
  return failed.length;
}

const failures = options.replay === undefined ? await runAll() : await replay();
process.exitCode = failures > 0 ? 1 : 0;
