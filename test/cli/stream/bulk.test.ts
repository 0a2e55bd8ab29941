import { type ChildProcess, spawn } from "node:child_process";
import { once } from "node:events";
import { mkdtempSync, readFileSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { createInterface } from "node:readline";
import { text } from "node:stream/consumers";
import { fileURLToPath } from "node:url";
import { expect, onTestFinished, test } from "vitest";
import { startRelay } from "../../relay-process.js";
import { mainPath } from "../command-line.js";

const mebibyte = 1024 * 1024;
const maxProcessBytes = 200 * mebibyte;
/**
 * The hashes, the random bytes and the pipes of the shell take more of two cores than the commands do. So the commands
 * are compared with the package and a pipeline without them, one after the other; 0.94 to 0.98 was seen.
 */
const minShareOfPackage = 0.75;
const samplingIntervalMs = 100;

const packagePipe = fileURLToPath(new URL("../package-pipe.ts", import.meta.url));

/** The most memory that a process has had, as the kernel counts it; 0 when it has ended, or has not begun. */
function peakBytes(pid: number | string): number {
  try {
    return Number(/^VmHWM:\s+(\d+) kB$/m.exec(readFileSync(`/proc/${pid}/status`, "utf8"))?.[1] ?? 0) * 1024;
  } catch {
    return 0;
  }
}

/** Asks for the peaks of processes for as long as the test runs. */
function watchPeaks(pids: () => (number | string)[]): Map<number | string, number> {
  const peaks = new Map<number | string, number>();
  const timer = setInterval(() => {
    for (const pid of pids()) {
      const bytes = peakBytes(pid);
      if (bytes > 0) peaks.set(pid, bytes);
    }
  }, samplingIntervalMs);
  onTestFinished(() => clearInterval(timer));
  return peaks;
}

function bash(commandLine: string, env: Record<string, string>): ChildProcess {
  const child = spawn("bash", ["-c", `set -o pipefail; ${commandLine}`], {
    env: { ...process.env, BSS: `${process.execPath} ${mainPath}`, ...env },
    stdio: ["ignore", "pipe", "pipe"],
  });
  onTestFinished(() => void child.kill("SIGKILL"));
  return child;
}

async function packageMs(relay: string, bytes: number): Promise<number> {
  const run = (role: string) => spawn(process.execPath, [packagePipe, role, relay, "package", String(bytes)]);
  const listener = run("listen");
  await once(createInterface({ input: listener.stdout }), "line");
  const client = run("connect");
  const [printed] = await Promise.all([text(client.stdout), once(listener, "close")]);
  return Number(printed);
}

/** How long a pipeline with the same random bytes and hashes takes, in which nothing of this package is. */
async function shellMs(bytes: number): Promise<number> {
  const startedMs = performance.now();
  const shell = bash(`head -c ${bytes} /dev/urandom | tee >(sha256sum >&2) | cat | sha256sum`, {});
  expect((await once(shell, "close"))[0]).toBe(0);
  return performance.now() - startedMs;
}

/** The package's speed is measured after the command's, in which time a machine's other work comes and goes. */
const limits = { timeout: 240_000, retry: 2 };

test(
  "a gibibyte through two commands: the same hash, bounded memory, and not much slower than the package",
  limits,
  async () => {
    const relay = await startRelay("--host", "127.0.0.1");
    onTestFinished(() => void relay.stop());
    const folder = mkdtempSync(join(tmpdir(), "bss-"));
    onTestFinished(() => rmSync(folder, { recursive: true }));
    const pidFile = (role: string) => join(folder, role);
    const env = { BSS_RELAY: relay.origin, LISTENER: pidFile("listener"), CLIENT: pidFile("client") };
    const pidOf = (role: string) => {
      try {
        return readFileSync(pidFile(role), "utf8").trim();
      } catch {
        return "none";
      }
    };
    const peaks = watchPeaks(() => [pidOf("listener"), pidOf("client"), relay.child.pid ?? 0]);

    const listener = bash("(echo $BASHPID > $LISTENER; exec $BSS listen big) | sha256sum", env);
    const received = text(listener.stdout as NodeJS.ReadableStream);
    await once(createInterface({ input: listener.stderr as NodeJS.ReadableStream }), "line");
    const start = performance.now();
    const client = bash(
      "head -c 1G /dev/urandom | tee >(sha256sum >&2) | (echo $BASHPID > $CLIENT; exec $BSS connect big)",
      env,
    );
    const sent = text(client.stderr as NodeJS.ReadableStream);
    const codes = await Promise.all([listener, client].map(async (child) => (await once(child, "close"))[0]));
    const commandRate = 1024 / ((performance.now() - start) / 1_000);

    expect(codes).toEqual([0, 0]);
    expect(await received).toMatch(/^[0-9a-f]{64} {2}-\n$/);
    expect(await received).toBe(await sent);
    expect(peaks.size).toBe(3);
    for (const bytes of peaks.values()) expect(bytes).toBeLessThan(maxProcessBytes);

    const bytes = 256 * mebibyte;
    const packageRate = 256 / ((await packageMs(relay.origin, bytes)) / 1_000);
    const shellRate = 256 / ((await shellMs(bytes)) / 1_000);
    const share = commandRate * (1 / packageRate + 1 / shellRate);
    const figures = [...peaks.values()].map((bytes) => `${(bytes / mebibyte).toFixed(0)} MiB`).join(", ");
    console.log(
      `bulk: command ${commandRate.toFixed(1)} MiB/s, package ${packageRate.toFixed(1)}, shell ${shellRate.toFixed(1)}, ` +
        `share ${share.toFixed(2)}; peaks: ${figures}`,
    );
    expect(share).toBeGreaterThan(minShareOfPackage);
  },
);
