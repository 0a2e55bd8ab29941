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

test("bench --quick measures the built package and a bare pipe, which need no further packages", async () => {
  const folder = await mkdtemp(join(tmpdir(), "bench-"));
  try {
    const json = join(folder, "samples.json");
    const only = ["bulk", "connect", "http2-pipe"].flatMap((name) => ["--only", name]);
    const child = spawn(process.execPath, [program, "--quick", ...only, "--json", json], {
      stdio: ["ignore", "pipe", "ignore"],
    });
    const [printed] = await Promise.all([text(child.stdout), once(child, "exit")]);
    const { samples, failed } = JSON.parse(await readFile(json, "utf8")) as BenchRunData;
    expect(failed).toEqual([]);
    expect(child.exitCode).toBe(0);
    expect(new Set(samples.map(({ contender }) => contender))).toEqual(new Set(["connect", "http2-pipe"]));
    for (const { values } of samples) expect(values.megabytesPerS).toBeGreaterThan(0);
    expect(printed).toContain("HTTP/2, Connect: 64 KiB messages, of the bare http2 pipe");
  } finally {
    await rm(folder, { recursive: true });
  }
});
