// `npm run bench` runs this program, which measures the built package beside yardsticks and writes the report.
import { readFileSync, writeFileSync } from "node:fs";
import { installMissing, tellMissing } from "./install.ts";
import { thisMachine } from "./machine.ts";
import { readOptions, usage } from "./options.ts";
import { fullPlan, quickPlan } from "./plan.ts";
import { BenchRun, type BenchRunData } from "./report/bench-run.ts";
import { writeReport } from "./report/report.ts";
import {
  behindTable,
  crowdTable,
  curveTable,
  failedList,
  gatewayTable,
  httpTable,
  nodeTable,
  ratioTable,
  tabTable,
} from "./report/tables.ts";
import { type RunResult, run } from "./run.ts";
import { Selection } from "./selection.ts";

const folder = import.meta.dirname;

function readCommandLine() {
  try {
    const options = readOptions(process.argv.slice(2));
    return { ...options, selection: new Selection(options.only) };
  } catch (error) {
    console.error(`${(error as Error).message}\n\n${usage}`);
    process.exit(2);
  }
}

const { quick, only, json, from, selection } = readCommandLine();

async function measure(): Promise<BenchRunData> {
  installMissing(selection.packages);
  tellMissing(selection.programs, console.error);
  const machine = thisMachine();
  if (machine.loadBefore > machine.cores / 2) {
    console.error(`This machine is busy (load ${machine.loadBefore.toFixed(1)}): the figures will mean little.`);
  }
  const startedMs = performance.now();
  const data = (result: RunResult) => ({ machine, durationS: (performance.now() - startedMs) / 1_000, ...result });
  const sections = selection.sections(quick ? quickPlan : fullPlan);
  return data(await run(sections, console.error, (result) => keep(data(result))));
}

/** Writes the samples of the sections so far, so that they are not lost if the run is stopped. */
function keep(data: BenchRunData): void {
  if (json !== undefined) writeFileSync(json, `${JSON.stringify(data, undefined, 1)}\n`);
}

const data = from === undefined ? await measure() : (JSON.parse(readFileSync(from, "utf8")) as BenchRunData);
const benchRun = new BenchRun(data);
const isWhole = from !== undefined || (!quick && only.length === 0);
if (isWhole) writeReport(benchRun, folder);
const figureTables = [nodeTable, crowdTable, tabTable, curveTable, httpTable];
const tables = [...figureTables, ratioTable, gatewayTable, behindTable, failedList];
const written = tables.map((table) => table(benchRun)).filter((text) => text !== "");
console.log(written.join("\n\n"));
process.exitCode = data.failed.length > 0 ? 1 : 0;
