import { readFileSync, writeFileSync } from "node:fs";
import { mkdtemp, rm, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterAll, beforeAll, describe, expect, test } from "vitest";
import { launchBrowser } from "../browser/browser.js";
import { isCi } from "../gate/step.js";
import { startRelay } from "../relay-process.js";
import { kinds, type Stage } from "./agents/kinds.js";
import { Pair } from "./agents/pair.js";
import { checks, graceMs } from "./matrix/checks.js";
import { interopPage } from "./matrix/interop-page.js";
import { Matrix } from "./matrix/matrix.js";
import { Row } from "./matrix/row.js";

const pagePath = new URL("../../docs/interop.md", import.meta.url);
const obstacles = new Map(kinds.map((kind) => [kind, kind.missing()]));
const matrix = new Matrix(kinds, checks);

let stage: Stage;
let folder: string;

beforeAll(async () => {
  // The relay is first to be seen to, so that it ends if the browser does not start.
  folder = await mkdtemp(join(tmpdir(), "bss-"));
  const config = join(folder, "relay.json");
  await writeFile(config, JSON.stringify({ limits: { graceMs } }));
  const relay = await startRelay("--config", config);
  stage = { relay, browser: undefined };
  if (kinds.some((kind) => kind.name === "tab" && obstacles.get(kind) !== undefined)) return;
  stage = { relay, browser: await launchBrowser() };
});

afterAll(async () => {
  await stage?.browser?.close();
  await stage?.relay.stop();
  await rm(folder, { recursive: true });
});

describe.each(kinds)("$name listens", { concurrent: true }, (listenerKind) => {
  const row = new Row(listenerKind);
  afterAll(() => row.discard());

  // The checks of a row share a listener. Each row begins with another column: they run at once, and tabs take the
  // most.
  const first = kinds.indexOf(listenerKind);
  describe.each([...kinds.slice(first), ...kinds.slice(0, first)])(
    "$name connects",
    { concurrent: false },
    (clientKind) => {
      const obstacle = obstacles.get(listenerKind) ?? obstacles.get(clientKind);

      for (const check of checks) {
        test(check.title, async (context) => {
          if (obstacle !== undefined && !isCi) context.skip(obstacle);
          if (obstacle !== undefined) throw new Error(obstacle);
          const pair = new Pair(stage, row, clientKind);
          let passed = false;
          try {
            await check.run(pair);
            passed = true;
          } finally {
            matrix.record(listenerKind, clientKind, check, passed);
            await pair.close();
            // Leftovers of a failed check must not fail the next one.
            if (!passed) await row.discard();
          }
        });
      }
    },
  );
});

test("docs/interop.md says what this run gave", ({ skip }) => {
  console.log(`\n${matrix}\n`);
  for (const [kind, obstacle] of obstacles) {
    if (obstacle !== undefined) console.log(`not run: ${kind.name} with any other (${obstacle})`);
  }
  if (!matrix.complete) skip("not every pair was run");
  const page = interopPage(matrix, kinds, checks);
  if (isCi) expect(page).toBe(readFileSync(pagePath, "utf8"));
  else writeFileSync(pagePath, page);
});
