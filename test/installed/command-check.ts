import { type ChildProcess, spawn } from "node:child_process";
import { once } from "node:events";
import { readFileSync } from "node:fs";
import { createInterface } from "node:readline";
import type { Readable, Writable } from "node:stream";
import { pipeline } from "node:stream/promises";

/**
 * Sends a file through the command as it is installed in the folder of this program, and exits with 1 if one of its
 * processes has had more memory than it needs. The listener is the process that a call which holds what it received
 * shows in.
 */
const mebibyte = 1024 * 1024;
const chunk = new Uint8Array(mebibyte);
const chunks = 400;
/** A process of Node has about 120 MiB when this much has gone through it, and 520 if it holds it. */
const maxProcessBytes = 300 * mebibyte;

const command = (...args: string[]): ChildProcess =>
  spawn(process.execPath, ["node_modules/browser-stream-server/dist/cli/main.js", ...args], {
    stdio: ["pipe", "pipe", "pipe"],
  });

function peakBytes({ pid }: ChildProcess): number {
  const kibibytes = /^VmHWM:\s+(\d+) kB$/m.exec(readFileSync(`/proc/${pid}/status`, "utf8"))?.[1];
  return Number(kibibytes) * 1024;
}

function* input(): Generator<Uint8Array> {
  for (let sent = 0; sent < chunks; sent++) yield chunk;
}

const relay = command("serve", "--port", "0");
const [address] = (await once(createInterface({ input: relay.stdout as Readable }), "line")) as [string];
const { origin } = new URL(address);
const listener = command("listen", "file", "--relay", origin);
// The listener prints a line when the name is its own.
await once(listener.stderr as Readable, "data");
const client = command("connect", "file", "--relay", origin);
const sending = pipeline(input, client.stdin as Writable);
let receivedBytes = 0;
for await (const part of listener.stdout as Readable) {
  receivedBytes += part.byteLength;
  if (receivedBytes === chunks * mebibyte) break;
}
await sending;
for (const [role, process_] of Object.entries({ relay, listener, client })) {
  const bytes = process_.exitCode === null ? peakBytes(process_) : 0;
  if (bytes <= maxProcessBytes) continue;
  console.log(`the ${role} has had ${Math.round(bytes / mebibyte)} MiB for a file of ${chunks} MiB`);
  process.exitCode = 1;
}
for (const each of [listener, client, relay]) each.kill("SIGKILL");
