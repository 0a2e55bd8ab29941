// The gate: `npm test` runs all of it, `npm test -- biome unit` the steps that are named.
import { isCi, type Outcome, type Step } from "./step.ts";
import { steps } from "./steps.ts";

const wanted = process.argv.slice(2);
const unknown = wanted.filter((name) => !steps.some((step) => step.name === name));
if (unknown.length > 0) {
  console.error(`no such step: ${unknown.join(", ")}; there are: ${steps.map((step) => step.name).join(", ")}`);
  process.exit(2);
}

async function outcomeOf(step: Step): Promise<Outcome> {
  try {
    return await step.run();
  } catch (error) {
    return { kind: "failed", why: error instanceof Error ? (error.stack ?? error.message) : String(error) };
  }
}

function count(outcome: Outcome): void {
  if (outcome.kind === "skipped" || outcome.tests === undefined) {
    counts[outcome.kind]++;
    return;
  }
  counts.passed += outcome.tests.passed;
  counts.failed += outcome.tests.failed;
  counts.skipped += outcome.tests.skipped;
}

const indented = (text: string) => text.replaceAll(/^(?=.)/gm, "    ");
const counts = { passed: 0, failed: 0, skipped: 0 };
const failures: string[] = [];
const notRun: string[] = [];
const unstable: string[] = [];

for (const step of steps.filter((each) => wanted.length === 0 || wanted.includes(each.name))) {
  const start = performance.now();
  const outcome = await outcomeOf(step);
  const seconds = `${((performance.now() - start) / 1000).toFixed(1)} s`;
  count(outcome);
  switch (outcome.kind) {
    case "passed":
      console.log(`ok       ${step.name}  ${seconds}${outcome.note ? `  (${outcome.note})` : ""}`);
      for (const each of outcome.unstable ?? []) unstable.push(`${step.name}: ${each}`);
      break;
    case "failed":
      console.log(`FAILED   ${step.name}  ${seconds}\n${indented(outcome.why)}`);
      failures.push(`${step.name}: ${outcome.why.split("\n")[0]}`);
      break;
    case "skipped":
      console.log(`NOT RUN  ${step.name}  ${seconds}`);
      notRun.push(`${step.name}: ${outcome.why}`);
      break;
  }
}

if (failures.length > 0) console.log(`\nFailed:\n${indented(failures.join("\n"))}`);
if (unstable.length > 0) console.log(`\nUnstable, passed when run again:\n${indented(unstable.join("\n"))}`);
if (notRun.length > 0) {
  const inCi = isCi ? ", and CI allows nothing to be skipped" : "";
  console.log(`\nNot run${inCi}:\n${indented(notRun.join("\n"))}`);
}
// CI reads this line.
const skips = counts.skipped > 0 ? `, ${counts.skipped} skipped` : "";
console.log(`\n${counts.passed} passed, ${counts.failed} failed${skips}`);
process.exitCode = counts.failed > 0 || (isCi && counts.skipped > 0) ? 1 : 0;
