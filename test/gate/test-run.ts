import { existsSync, readFileSync } from "node:fs";
import { join, relative } from "node:path";
import { root, run, withTemporaryFolder } from "./command.ts";
import { isCi, type Outcome } from "./step.ts";

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

/** The tests that failed, and the files that did so outside of their tests. */
function failuresOf(report: Report): string[] {
  return report.testResults.flatMap(({ name, status, message, assertionResults }) => {
    const file = relative(root, name);
    const tests = assertionResults.filter((test) => test.status === "failed");
    if (tests.length > 0) return tests.map((test) => `${file}: ${test.fullName}`);
    return status === "failed" ? [`${file}: ${message.split("\n")[0]}`] : [];
  });
}

/** Runs one project of vitest.config.ts, its output shown as it comes, and counts its tests. */
export function runTests(project: string, timeoutMs: number, env: Record<string, string> = {}): Promise<Outcome> {
  return withTemporaryFolder(async (folder) => {
    const file = join(folder, "report.json");
    const reporters = ["--reporter=default", "--reporter=json", `--outputFile.json=${file}`];
    const { code } = await run("vitest", ["run", "--project", project, ...reporters], { live: true, timeoutMs, env });
    if (!existsSync(file)) return { kind: "failed", why: `vitest ended without a report (exit code ${code})` };
    const report = JSON.parse(readFileSync(file, "utf8")) as Report;
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
  });
}
