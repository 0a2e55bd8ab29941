import { createHook } from "node:async_hooks";
import type { ChildProcess } from "node:child_process";
import { Server, Socket } from "node:net";
import { afterAll } from "vitest";

/** A file's resources have this long to come to rest after its last test, before they count as left behind. */
const deadlineMs = 3_000;
const pollMs = 5;

type Counts = Map<string, number>;

// A test may leave fake timers installed.
const { setTimeout, performance } = globalThis;
const pause = (ms: number) => new Promise<void>((done) => void setTimeout(done, ms));

/** Counts by type what keeps the process running; what is unref'd does not. */
function activeResources(): Counts {
  const counts: Counts = new Map();
  for (const type of process.getActiveResourcesInfo()) counts.set(type, (counts.get(type) ?? 0) + 1);
  return counts;
}

function surplus(now: Counts, baseline: Counts): Counts {
  const more = new Map<string, number>();
  for (const [type, count] of now) {
    const extra = count - (baseline.get(type) ?? 0);
    if (extra > 0) more.set(type, extra);
  }
  return more;
}

/** The least of several looks, so that what happens to be under way at the first is not granted to the file. */
async function takeBaseline(): Promise<Counts> {
  // The first use of a standard stream opens its handle, which then stays.
  void process.stdin.readable;
  void process.stdout.writable;
  void process.stderr.writable;
  let least = activeResources();
  for (let look = 0; look < 5; look++) {
    await pause(1);
    const now = activeResources();
    least = new Map([...least].map(([type, count]) => [type, Math.min(count, now.get(type) ?? 0)]));
  }
  return least;
}

function describe(handle: object): string {
  if (handle instanceof Server) return `server listening on ${JSON.stringify(handle.address())}`;
  if (handle instanceof Socket) {
    const { localAddress, localPort, remoteAddress, remotePort } = handle;
    if (localPort === undefined) return `${handle.constructor.name} (pipe or unconnected socket)`;
    return `socket ${localAddress}:${localPort} → ${remoteAddress}:${remotePort}`;
  }
  if ("spawnfile" in handle) {
    const { spawnfile, pid } = handle as ChildProcess;
    return `child process ${spawnfile} (pid ${pid})`;
  }
  return handle.constructor.name;
}

const undocumented = process as unknown as { _getActiveHandles(): object[] };
const handlesBefore = new WeakSet<object>();

/** The place at which each resource was created, by its id. Kept only with LEAK_STACKS=1, since it slows every test. */
const created = new Map<number, string>();
const ownLines = /^.*(?:\(|at )(?!node:|.*node_modules|.*no-leaks).*:\d+:\d+\)?$/gm;
if (process.env.LEAK_STACKS === "1") {
  Error.stackTraceLimit = 30;
  createHook({
    init(id, type) {
      if (type === "PROMISE" || type === "TickObject") return;
      const lines = new Error().stack?.match(ownLines) ?? [];
      if (lines.length > 0) created.set(id, `${type}\n${lines.slice(0, 6).join("\n")}`);
    },
    destroy(id) {
      created.delete(id);
    },
  }).enable();
}

function report(left: Counts): string {
  const lines = [...left].map(([type, count]) => `  ${count} × ${type}`);
  const handles = undocumented._getActiveHandles().filter((handle) => !handlesBefore.has(handle));
  for (const handle of handles) lines.push(`  ${describe(handle)}`);
  if (process.env.LEAK_STACKS !== "1") lines.push("LEAK_STACKS=1 shows where they were created.");
  lines.push(...created.values());
  return lines.join("\n");
}

const baseline = await takeBaseline();
created.clear();
for (const handle of undocumented._getActiveHandles()) handlesBefore.add(handle);

// This hook is registered before any of the file's own, so it runs after all of them.
afterAll(async () => {
  const deadline = performance.now() + deadlineMs;
  let left = surplus(activeResources(), baseline);
  while (left.size > 0 && performance.now() < deadline) {
    await pause(pollMs);
    left = surplus(activeResources(), baseline);
  }
  if (left.size > 0) throw new Error(`this file left behind, ${deadlineMs / 1000} s after its tests:\n${report(left)}`);
}, deadlineMs + 2_000);
