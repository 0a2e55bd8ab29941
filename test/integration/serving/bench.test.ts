import { spawn } from "node:child_process";
import { once } from "node:events";
import { mkdtemp, readFile, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { text } from "node:stream/consumers";
import { fileURLToPath } from "node:url";
import { expect, test } from "vitest";
import type { BenchRunData } from "../../../bench/report/bench-run.js";

const program = fileURLToPath(new URL("../../../bench/main.ts", import.meta.url));

/** Runs `bench --quick` for some works and contenders. Resolves with the figures, and what was printed. */
async function quickBench(...names: string[]): Promise<{ data: BenchRunData; printed: string }> {
  const folder = await mkdtemp(join(tmpdir(), "bench-"));
  try {
    const json = join(folder, "samples.json");
    const only = names.flatMap((name) => ["--only", name]);
    const child = spawn(process.execPath, [program, "--quick", ...only, "--json", json], {
      stdio: ["ignore", "pipe", "ignore"],
    });
    const [printed] = await Promise.all([text(child.stdout), once(child, "exit")]);
    const data = JSON.parse(await readFile(json, "utf8")) as BenchRunData;
    expect(data.failed).toEqual([]);
    expect(child.exitCode).toBe(0);
    return { data, printed };
  } finally {
    await rm(folder, { recursive: true });
  }
}

test("bench --quick measures the built package and a bare pipe, which need no further packages", async () => {
  const { data, printed } = await quickBench("bulk", "connect", "http2-pipe");
  expect(new Set(data.samples.map(({ contender }) => contender))).toEqual(new Set(["connect", "http2-pipe"]));
  for (const { values } of data.samples) expect(values.megabytesPerS).toBeGreaterThan(0);
  expect(printed).toContain("HTTP/2, Connect: 64 KiB messages, of the bare http2 pipe");
});

test("bench --quick measures the gateway, where no other program is needed", async () => {
  const { data } = await quickBench("http-events", "http-names", "gateway");
  expect(new Set(data.samples.map(({ work }) => work))).toEqual(new Set(["http-events", "http-names"]));
  for (const { values } of data.samples) expect(values.p50Ms).toBeGreaterThan(0);
});
