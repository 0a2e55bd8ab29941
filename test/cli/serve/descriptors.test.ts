import { execFileSync, spawn } from "node:child_process";
import { once } from "node:events";
import { mkdtempSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { createInterface } from "node:readline";
import { afterAll, describe, expect, onTestFinished, test } from "vitest";
import { mainPath } from "../command-line.js";
import { useFileRelay } from "../file-relay.js";

const relay = useFileRelay();
const folder = mkdtempSync(join(tmpdir(), "bss-"));
afterAll(() => rmSync(folder, { recursive: true }));

const mebibyte = 1024 * 1024;
/** No two windows of it are equal. */
const content = Buffer.from(
  Uint32Array.from({ length: mebibyte }, (_, index) => Math.imul(index, 2_654_435_761)).buffer,
);
const contentPath = join(folder, "content");
writeFileSync(contentPath, content);

let files = 0;

/** The path of a new file with these bytes. */
function file(bytes: Uint8Array = new Uint8Array()): string {
  files += 1;
  const path = join(folder, String(files));
  writeFileSync(path, bytes);
  return path;
}

/** A block device with the bytes of a file. */
function blockDevice(path: string): string {
  const device = execFileSync("losetup", ["--find", "--show", path]).toString().trim();
  onTestFinished(() => void execFileSync("losetup", ["--detach", device]));
  return device;
}

/** Whether this machine lets the test have block devices: for the superuser, outside of most containers. */
const hasBlockDevices = (() => {
  try {
    const device = execFileSync("losetup", ["--find", "--show", contentPath], { stdio: ["ignore", "pipe", "ignore"] });
    execFileSync("losetup", ["--detach", device.toString().trim()]);
    return true;
  } catch {
    return false;
  }
})();

/** A command with redirections, as bash makes them. `listening` resolves when a listener has its name. */
function shell(command: string) {
  const child = spawn("bash", ["-c", `${command.replace("bss", "exec $BSS")}`], {
    env: { ...process.env, BSS: `${process.execPath} ${mainPath}`, BSS_RELAY: relay.origin },
    stdio: ["ignore", "ignore", "pipe"],
  });
  const exited = once(child, "close").then(([code]) => code as number | null);
  onTestFinished(async () => {
    child.kill("SIGKILL");
    await exited;
  });
  const lines = createInterface({ input: child.stderr });
  return { exited, listening: once(lines, "line") };
}

let names = 0;

/** The exit codes of a listener and a client with these redirections: of the one that `role` names first. */
async function exitCodes(role: "listener" | "client", redirection: string, others: string): Promise<(number | null)[]> {
  names += 1;
  const [atListener, atClient] = role === "listener" ? [redirection, others] : [others, redirection];
  const listener = shell(`bss listen ${names} ${atListener}`);
  await listener.listening;
  const client = shell(`bss connect ${names} ${atClient}`);
  const codes = await Promise.all([listener.exited, client.exited]);
  return role === "listener" ? codes : codes.reverse();
}

describe.each(["listener", "client"] as const)("standard streams of the %s", (role) => {
  test.runIf(hasBlockDevices)("a block device as standard input is carried", async () => {
    const copy = file();
    const device = blockDevice(contentPath);
    expect(await exitCodes(role, `<${device} >/dev/null`, `</dev/null >${copy}`)).toEqual([0, 0]);
    expect(readFileSync(copy).equals(content)).toBe(true);
  });

  test.runIf(hasBlockDevices)("a block device as standard output gets what is carried", async () => {
    const path = file(new Uint8Array(content.byteLength + mebibyte));
    const device = blockDevice(path);
    expect(await exitCodes(role, `</dev/null >${device}`, `<${contentPath} >/dev/null`)).toEqual([0, 0]);
    expect(readFileSync(device).subarray(0, content.byteLength).equals(content)).toBe(true);
  });

  test.runIf(hasBlockDevices)("a block device that is too small: 1, and 7 at the other end", async () => {
    const device = blockDevice(file(new Uint8Array(content.byteLength - 512)));
    expect(await exitCodes(role, `</dev/null >${device}`, `<${contentPath} >/dev/null`)).toEqual([1, 7]);
  });

  test.each([
    ["a directory as standard input", `<${folder} >/dev/null`, 1],
    ["a directory as standard output", `</dev/null 1<${folder}`, 1],
    ["a standard input that cannot be read", `0>>${file()} >/dev/null`, 1],
    ["a standard output that cannot be written", `</dev/null 1<${contentPath}`, 1],
    ["a socket of datagrams as standard input", "</dev/udp/127.0.0.1/9 >/dev/null", 1],
    ["a full disk", "</dev/null >/dev/full", 1],
    ["a standard output that is closed", "</dev/null >&-", 141],
    ["a pipe that nobody reads", "</dev/null > >(true)", 141],
    ["an input that is a pipe's other end", "0> >(cat >/dev/null) >/dev/null", 1],
  ])("%s, while the other end sends a little: not 0 at both ends", async (_, redirection, code) => {
    expect(await exitCodes(role, redirection, "<<<little >/dev/null")).toEqual([code, 7]);
  });

  test("the last write of a file that may not grow is not taken for whole: 1, and 7 at the other end", async () => {
    // A limit in units of 1,024 bytes, which falls into the second and last write.
    const limited = `</dev/null >${file()}`;
    const sent = file(content.subarray(0, 120_000));
    const listener = `bss listen limited${role} `;
    const client = `bss connect limited${role} `;
    const first = shell(role === "listener" ? `ulimit -f 100; ${listener}${limited}` : `${listener}<${sent}`);
    await first.listening;
    const second = shell(role === "client" ? `ulimit -f 100; ${client}${limited}` : `${client}<${sent}`);
    const codes = await Promise.all([first.exited, second.exited]);
    expect(codes).toEqual(role === "listener" ? [1, 7] : [7, 1]);
  });

  test("a standard input that is closed is an empty one", async () => {
    const copy = file();
    expect(await exitCodes(role, `<&- >${copy}`, `<${contentPath} >/dev/null`)).toEqual([0, 0]);
    expect(readFileSync(copy).equals(content)).toBe(true);
  });

  test("a file is appended to, and one that is open both ways is written from its beginning", async () => {
    const [appended, open] = [file(Buffer.from("old")), file(Buffer.from("old and longer"))];
    expect(await exitCodes(role, `</dev/null >>${appended}`, "<<<new >/dev/null")).toEqual([0, 0]);
    expect(await exitCodes(role, `</dev/null 1<>${open}`, "<<<new >/dev/null")).toEqual([0, 0]);
    expect([readFileSync(appended, "utf8"), readFileSync(open, "utf8")]).toEqual(["oldnew\n", "new\nand longer"]);
  });

  test("a device without an end is carried until the other end has enough: 7 here, 141 there", async () => {
    expect(await exitCodes(role, "</dev/zero >/dev/null", "</dev/null > >(head -c 1M >/dev/null)")).toEqual([7, 141]);
  });
});

test.each(["--version", "--help", "ls"])("%s into a standard output that is closed or full: not 0", async (command) => {
  const listener = shell("bss listen shown --listed </dev/null");
  await listener.listening;
  expect(await shell(`bss ${command} >&-`).exited).toBe(141);
  expect(await shell(`bss ${command} >/dev/full`).exited).toBe(1);
});
