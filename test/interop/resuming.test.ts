import { createHash, randomBytes } from "node:crypto";
import { mkdtemp, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterAll, beforeAll, describe, expect, onTestFinished, test } from "vitest";
import { ChaosProxy } from "../chaos/network/chaos-proxy.js";
import { isCi } from "../gate/step.js";
import { type RelayProcess, startRelay } from "../relay-process.js";
import type { ProgramRole } from "../setup/example-programs.js";
import { Agent } from "./agents/agent.js";
import { type Kind, kinds } from "./agents/kinds.js";

const mebibyte = 1024 * 1024;
const transferBytes = 8 * mebibyte;
const sha256 = (data: Uint8Array) => createHash("sha256").update(data).digest("hex");

let folder: string;
let keyFile: string;

beforeAll(async () => {
  folder = await mkdtemp(join(tmpdir(), "bss-"));
  keyFile = join(folder, "relay.key");
});

afterAll(() => rm(folder, { recursive: true }));

/** A single stream is told to leave in the middle of this time. */
const drainTimeoutMs = "1000";
const startKeyedRelay = () =>
  startRelay("--host", "127.0.0.1", "--key-file", keyFile, "--drain-timeout-ms", drainTimeoutMs);
const portOf = ({ origin }: RelayProcess) => Number(new URL(origin).port);

const named = (name: string) => kinds.find((kind) => kind.name === name) as Kind;
const languages = ["python", "go", "grpc-js"].map(named);
/** Each language connects to another one, and to and from the package. */
const pairs = languages
  .flatMap((language, index) => [
    { client: language, listener: languages[(index + 1) % languages.length] as Kind },
    { client: language, listener: named("package") },
    { client: named("package"), listener: language },
  ])
  .map((pair) => ({ ...pair, title: `${pair.client.name} connects to ${pair.listener.name}` }));

/** In CI nothing may be missing. */
const runnable = pairs.filter(({ client, listener }) => isCi || (client.missing() ?? listener.missing()) === undefined);

/** A client and a listener, each on its own way to the relay, in the middle of an echo of random bytes. */
class Echo {
  readonly data = randomBytes(transferBytes);
  readonly #clientKind: Kind;
  readonly #name: string;
  readonly #agents: Agent[] = [];
  readonly #proxies: ChaosProxy[] = [];
  relay!: RelayProcess;
  client!: Agent;
  listener!: Agent;

  private constructor(client: Kind, listener: Kind) {
    this.#clientKind = client;
    this.#name = `resuming ${listener.name}`;
  }

  static async begin(client: Kind, listener: Kind): Promise<Echo> {
    const echo = new Echo(client, listener);
    onTestFinished(() => echo.#end());
    echo.relay = await startKeyedRelay();
    echo.listener = await echo.#start(listener, "resuming-listener", echo.#name);
    await echo.listener.says("listening");
    echo.client = await echo.#start(client, "resuming-client", echo.#name, "--binary");
    echo.client.write(echo.data.subarray(0, transferBytes / 2));
    return echo;
  }

  sendRest(): void {
    this.client.write(this.data.subarray(transferBytes / 2));
    this.client.endInput();
  }

  get clientProxy(): ChaosProxy {
    return this.#proxies[1] as ChaosProxy;
  }

  get listenerProxy(): ChaosProxy {
    return this.#proxies[0] as ChaosProxy;
  }

  /** Kills the relay, and starts another one with its key. */
  async restartRelay(): Promise<void> {
    const exited = new Promise((resolve) => this.relay.child.once("exit", resolve));
    this.relay.child.kill("SIGKILL");
    await exited;
    this.relay = await startKeyedRelay();
    for (const proxy of this.#proxies) proxy.targetPort = portOf(this.relay);
  }

  /** Starts another relay with the same key. The old one is told to stop, and ends when everybody has left. */
  async replaceRelay(): Promise<void> {
    const old = this.relay;
    this.relay = await startKeyedRelay();
    for (const proxy of this.#proxies) proxy.targetPort = portOf(this.relay);
    expect(await old.stop()).toBe(0);
  }

  /** The listener has taken its lease up again. */
  async hasItsName(): Promise<void> {
    const client = await this.#start(this.#clientKind, "resuming-client", this.#name);
    client.endInput();
    await client.exits(0);
    await this.listener.says("ended");
  }

  /** Nothing was lost, doubled or reordered in either direction, and the stream ended well. */
  async endsWell(): Promise<void> {
    await this.client.exits(0);
    expect(sha256(this.client.stdout.bytes)).toBe(sha256(this.data));
    await this.listener.says("ended");
    // The package's programs tell of no break.
    for (const { title, stderr } of [this.client, this.listener]) {
      if (!title.includes("package")) expect(stderr.lines).toContain("resumed");
    }
  }

  async #start(kind: Kind, role: ProgramRole, ...args: string[]): Promise<Agent> {
    const proxy = await ChaosProxy.open(portOf(this.relay));
    this.#proxies.push(proxy);
    const { host } = new URL(proxy.origin);
    const program = kind.program({ relay: this.relay, browser: undefined }, role, [host, ...args]);
    const agent = await Agent.start(`the ${kind.name} ${role}`, program);
    this.#agents.push(agent);
    return agent;
  }

  async #end(): Promise<void> {
    await Promise.all(this.#agents.map((agent) => agent.kill()));
    await Promise.all(this.#proxies.map((proxy) => proxy.close()));
    this.relay?.child.kill("SIGKILL");
  }
}

describe("a transfer outlives its connections", () => {
  test.each(runnable)("$title", async ({ client, listener }) => {
    const echo = await Echo.begin(client, listener);
    echo.sendRest();
    await echo.client.hasPrinted(mebibyte);
    echo.clientProxy.cut("fin");
    await echo.client.hasPrinted(3 * mebibyte);
    echo.listenerProxy.cut("fin");
    await echo.client.hasPrinted(5 * mebibyte);
    for (const proxy of [echo.clientProxy, echo.listenerProxy]) proxy.cut("fin");
    await echo.endsWell();
  });
});

// The listener may not have taken its name up again when the next client comes, which then says so and ends.
const retry = 2;

describe("a transfer outlives its relay, which is killed and started again", { retry }, () => {
  test.each(runnable)("$title", async ({ client, listener }) => {
    const echo = await Echo.begin(client, listener);
    echo.sendRest();
    await echo.client.hasPrinted(2 * mebibyte);
    await echo.restartRelay();
    await echo.endsWell();
    await echo.hasItsName();
  });
});

describe("a transfer outlives its relay, which leaves while another one is there", { retry }, () => {
  test.each(runnable)("$title", async ({ client, listener }) => {
    const echo = await Echo.begin(client, listener);
    await echo.client.hasPrinted(mebibyte);
    await echo.replaceRelay();
    echo.sendRest();
    await echo.endsWell();
    await echo.hasItsName();
  });
});

describe("a client that is interrupted ends its stream at once, although the listener could wait for it", () => {
  test.each(runnable)("$title", async ({ client, listener }) => {
    const echo = await Echo.begin(client, listener);
    await echo.client.hasPrinted(mebibyte);
    echo.client.interrupt();
    await echo.client.exits(130);
    // The package cancels with a failure of its own, and gRPC's libraries spell the code with two l's.
    await echo.listener.says(/^ended cancell?ed FAILURE_(UNSPECIFIED|PEER_CANCELED)$/);
  });
});
