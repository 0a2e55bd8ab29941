import { existsSync, readFileSync } from "node:fs";
import { join, relative } from "node:path";
import { root, run, withTemporaryFolder } from "../command.ts";
import { isCi, type Outcome } from "../step.ts";

interface Report {
  numPassedTests: number;
  numFailedTests: number;
  numPendingTests: number;
  numTodoTests: number;
  testResults: {
    name: string;
    status: string;
    message: string;
    assertionResults: { fullName: string; status: string }[];
  }[];
}

/** A file that failed is run again, alone, if no more files than so many did. */
const maxFilesRunAgain = 3;

interface Run {
  /** The exit code of vitest; 0 if all is well. */
  code: number | null;
  report: Report;
}

const failedFiles = ({ testResults }: Report) =>
  testResults.filter(({ status }) => status === "failed").map(({ name }) => relative(root, name));

/** The tests that failed, and the files that did so outside of their tests. */
function failuresOf(report: Report): string[] {
  return report.testResults.flatMap(({ name, status, message, assertionResults }) => {
    const file = relative(root, name);
    const tests = assertionResults.filter((test) => test.status === "failed");
    if (tests.length > 0) return tests.map((test) => `${file}: ${test.fullName}`);
    return status === "failed" ? [`${file}: ${message.split("\n")[0]}`] : [];
  });
}

/** Runs a project, or some files of it, its output shown as it comes. Undefined if vitest ended without a report. */
function runVitest(
  project: string,
  files: readonly string[],
  timeoutMs: number,
  env: Record<string, string>,
): Promise<Run | undefined> {
  return withTemporaryFolder(async (folder) => {
    const file = join(folder, "report.json");
    const reporters = ["--reporter=default", "--reporter=json", `--outputFile.json=${file}`];
    const args = ["run", "--project", project, ...reporters, ...files];
    const { code } = await run("vitest", args, { live: true, timeoutMs, env });
    return existsSync(file) ? { code, report: JSON.parse(readFileSync(file, "utf8")) as Report } : undefined;
  });
}

/**
 * Runs one project of vitest.config.ts and counts its tests. Processes are killed in them, tabs closed and networks
 * cut, at moments that a busy machine moves: a file that failed gets one more run, alone. If it passes then, the
 * outcome names what failed before as unstable.
 */
export async function runTests(project: string, timeoutMs: number, env: Record<string, string> = {}): Promise<Outcome> {
  const first = await runVitest(project, [], timeoutMs, env);
  if (first === undefined) return { kind: "failed", why: "vitest ended without a report" };
  const outcome = outcomeOf(first);
  const files = failedFiles(first.report);
  if (first.code === 0 || files.length === 0 || files.length > maxFilesRunAgain) return outcome;
  console.log(`\n${project}: run again, alone: ${files.join(", ")}`);
  const second = await runVitest(project, files, timeoutMs, env);
  if (second === undefined || second.code !== 0) return outcome;
  const { numPassedTests, numFailedTests } = first.report;
  const passed = outcomeOf({ code: 0, report: { ...first.report, numPassedTests: numPassedTests + numFailedTests } });
  return passed.kind === "passed" ? { ...passed, unstable: failuresOf(first.report) } : passed;
}

function outcomeOf({ code, report }: Run): Outcome {
  const tests = {
    passed: report.numPassedTests,
    // A file can fail though all its tests pass: it left something behind, or an error went unhandled.
    failed: code === 0 ? 0 : Math.max(report.numFailedTests, 1),
    skipped: report.numPendingTests + report.numTodoTests,
  };
  if (code !== 0) {
    const failures = failuresOf(report);
    if (failures.length === 0) failures.push("an unhandled error, or no tests");
    return { kind: "failed", why: [...failures, `vitest's report is above (exit code ${code})`].join("\n"), tests };
  }
  if (tests.skipped > 0 && isCi) {
    const why = `${tests.skipped} tests were skipped, and CI allows none`;
    return { kind: "failed", why, tests: { ...tests, failed: tests.skipped, skipped: 0 } };
  }
  const skips = tests.skipped > 0 ? `, ${tests.skipped} skipped` : "";
  return { kind: "passed", note: `${tests.passed} tests${skips}`, tests };
}
