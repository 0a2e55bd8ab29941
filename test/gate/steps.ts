import { checkAlerts } from "./alerts.ts";
import { checkAudit } from "./audit.ts";
import { checkBreaking } from "./breaking.ts";
import { expectSuccess } from "./command.ts";
import { checkDeploy } from "./deploy.ts";
import { checkExampleStubs } from "./example-stubs.ts";
import { checkGenerated } from "./generated.ts";
import { checkImportDirection } from "./imports/import-direction.ts";
import { checkBundle } from "./package/bundle-size.ts";
import { checkBundlers } from "./package/bundlers.ts";
import { checkInstalled } from "./package/installed.ts";
import { checkAttw, checkPublint } from "./package/package-checks.ts";
import { checkNodeTypes, checkPageTypes, checkPortableTypes } from "./package/types.ts";
import type { Step } from "./step.ts";
import { runBrowserTests } from "./tests/browser-tests.ts";
import { checkChaos, checkScenarios, checkTabs } from "./tests/chaos.ts";
import { runInteropTests } from "./tests/interop-tests.ts";
import { runProxyTests } from "./tests/proxy-tests.ts";
import { checkSpeed } from "./tests/speed.ts";
import { runTests } from "./tests/test-run.ts";

/** The steps that `npm test` runs, in this order. */
export const steps: Step[] = [
  { name: "generated", run: checkGenerated },
  { name: "buf-format", run: () => expectSuccess("buf", ["format", "--diff", "--exit-code"]) },
  { name: "buf-lint", run: () => expectSuccess("buf", ["lint"]) },
  { name: "buf-breaking", run: checkBreaking },
  { name: "biome", run: () => expectSuccess("biome", ["ci", "--error-on-warnings", "--colors=off"]) },
  { name: "types-portable", run: checkPortableTypes },
  { name: "types-node", run: checkNodeTypes },
  { name: "types-page", run: checkPageTypes },
  { name: "imports", run: checkImportDirection },
  { name: "build", run: () => expectSuccess("npm", ["run", "--silent", "build"]) },
  // Before the tests: nothing else is at work now.
  { name: "speed", run: checkSpeed },
  { name: "unit", run: () => runTests("unit", 240_000) },
  { name: "integration", run: () => runTests("integration", 420_000) },
  { name: "cli", run: () => runTests("cli", 420_000) },
  { name: "security", run: () => runTests("security", 180_000) },
  { name: "chaos", run: checkChaos },
  { name: "chaos-runs", run: checkScenarios },
  { name: "proxies", run: () => runProxyTests(300_000) },
  { name: "browser", run: () => runBrowserTests("browser", 1_200_000) },
  { name: "browser-load", run: () => runBrowserTests("browser-load", 420_000) },
  // After the step that installs the browsers.
  { name: "chaos-tabs", run: checkTabs },
  { name: "interop", run: () => runInteropTests(480_000) },
  { name: "example-stubs", run: checkExampleStubs },
  { name: "alerts", run: checkAlerts },
  { name: "publint", run: checkPublint },
  { name: "attw", run: checkAttw },
  { name: "installed", run: checkInstalled },
  { name: "deploy", run: checkDeploy },
  { name: "audit", run: checkAudit },
  { name: "bundle", run: checkBundle },
  { name: "bundlers", run: checkBundlers },
];
