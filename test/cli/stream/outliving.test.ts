import { createHash, randomBytes } from "node:crypto";
import { once } from "node:events";
import { mkdtempSync, rmSync } from "node:fs";
import { type AddressInfo, connect, createServer } from "node:net";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { describe, expect, onTestFinished, test } from "vitest";
import { type RelayProcess, startRelay } from "../../relay-process.js";
import { CommandLine } from "../command-line.js";

/** The exit code for a relay that is lost. */
const relayLost = 6;
const mebibyte = 1024 * 1024;
const sha256 = (data: Uint8Array) => createHash("sha256").update(data).digest("hex");

/** A relay that comes back on its port with the keys that it had, whatever became of it. */
class LastingRelay {
  readonly #args: string[];
  #process: RelayProcess;

  private constructor(process: RelayProcess, args: string[]) {
    this.#process = process;
    this.#args = args;
  }

  static async start(): Promise<LastingRelay> {
    const folder = mkdtempSync(join(tmpdir(), "outliving-"));
    const args = ["--host", "127.0.0.1", "--key-file", join(folder, "relay.keys")];
    const process = await startRelay(...args);
    const relay = new LastingRelay(process, [...args, "--port", new URL(process.origin).port]);
    onTestFinished(async () => {
      await relay.#process.stop();
      rmSync(folder, { recursive: true });
    });
    return relay;
  }

  command(...args: string[]): CommandLine {
    return new CommandLine(args, { BSS_RELAY: this.#process.origin });
  }

  async kill(): Promise<void> {
    const { child } = this.#process;
    child.kill("SIGKILL");
    await once(child, "exit");
  }

  async comeBack(): Promise<void> {
    this.#process = await startRelay(...this.#args);
  }
}

describe("bss, whose relay is killed and comes back with its keys,", () => {
  test("passes the rest of a pipe on, and says on both sides what it waits for", async () => {
    const relay = await LastingRelay.start();
    const listener = relay.command("listen", "pipe");
    await listener.hasSaid();
    const client = relay.command("connect", "pipe");
    const file = randomBytes(16 * mebibyte);
    const parts: Buffer[] = [];
    let receivedBytes = 0;
    let onReceived = () => {};
    listener.child.stdout.on("data", (part: Buffer) => {
      parts.push(part);
      receivedBytes += part.byteLength;
      onReceived();
    });
    const received = async (bytes: number) => {
      while (receivedBytes < bytes) await new Promise<void>((resolve) => (onReceived = resolve));
    };
    listener.child.stdin.end();
    client.child.stdout.resume();
    client.child.stdin.write(file.subarray(0, 8 * mebibyte));
    await received(4 * mebibyte);
    await relay.kill();
    client.child.stdin.end(file.subarray(8 * mebibyte));
    const [saidBefore, clientSaidBefore] = [listener.errorLines.length, client.errorLines.length];
    await Promise.all([listener.hasSaid(saidBefore + 1), client.hasSaid(clientSaidBefore + 1)]);
    await relay.comeBack();
    expect(await Promise.all([client.exitCode, listener.exitCode])).toEqual([0, 0]);
    expect(sha256(Buffer.concat(parts))).toBe(sha256(file));
    expect([listener.errorLines.length, client.errorLines.length]).toEqual([saidBefore + 2, clientSaidBefore + 2]);
  });

  test("keeps a tunnel up, with the connections in it", async () => {
    const relay = await LastingRelay.start();
    const server = createServer((socket) => socket.pipe(socket)).listen(0, "127.0.0.1");
    await once(server, "listening");
    onTestFinished(() => void server.close());
    const far = relay.command("listen", "tunnel", "--to", `127.0.0.1:${(server.address() as AddressInfo).port}`);
    const near = relay.command("connect", "tunnel", "--port", "0");
    await far.hasSaid();
    const port = Number(/127\.0\.0\.1:(\d+)/.exec(await near.hasSaid())?.[1]);
    const echo = async (socket: ReturnType<typeof connect>, text: string) => {
      socket.write(text);
      const [answer] = await once(socket, "data");
      expect(String(answer)).toBe(text);
    };
    const before = connect(port, "127.0.0.1");
    onTestFinished(() => void before.destroy());
    await echo(before, "before");
    await relay.kill();
    const answered = echo(before, "while it is away");
    await relay.comeBack();
    await answered;
    const after = connect(port, "127.0.0.1");
    onTestFinished(() => void after.destroy());
    await echo(after, "after");
    expect([near.child.exitCode, far.child.exitCode]).toEqual([null, null]);
  });
});

test("bss, whose relay is back without its keys, ends with the exit code of a lost relay", async () => {
  const relay = await startRelay("--host", "127.0.0.1");
  const environment = { BSS_RELAY: relay.origin };
  const listener = new CommandLine(["listen", "pipe"], environment);
  await listener.hasSaid();
  const client = new CommandLine(["connect", "pipe"], environment);
  client.child.stdin.write("hello");
  await once(listener.child.stdout, "data");
  relay.child.kill("SIGKILL");
  await once(relay.child, "exit");
  const other = await startRelay("--host", "127.0.0.1", "--port", new URL(relay.origin).port);
  onTestFinished(() => void other.stop());
  client.child.stdout.resume();
  listener.child.stdout.resume();
  expect(await Promise.all([client.exitCode, listener.exitCode])).toEqual([relayLost, relayLost]);
});
