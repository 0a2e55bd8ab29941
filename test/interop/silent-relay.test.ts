import { mkdtemp, rm, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterAll, beforeAll, describe, expect, test, vi } from "vitest";
import { openStallingProxy, type StallingProxy } from "../browser/stalling-proxy.js";
import { isCi } from "../gate/step.js";
import { type RelayProcess, startRelay } from "../relay-process.js";
import type { Role } from "../setup/example-programs.js";
import { Agent } from "./agents/agent.js";
import { type Kind, kinds } from "./agents/kinds.js";

const heartbeatIntervalMs = 400;
/** Two and a half heartbeats, and what a busy machine needs beside them. */
const listenerDeadlineMs = 10_000;
/**
 * gRPC asks no more often than every 10 s whether a connection is there, so a client goes by the default: 37,500 ms.
 */
const clientDeadlineMs = 60_000;

const languages = kinds.filter(({ name }) => ["python", "go", "grpc-js"].includes(name));

let folder: string;
let relay: RelayProcess;

beforeAll(async () => {
  folder = await mkdtemp(join(tmpdir(), "bss-"));
  const config = join(folder, "relay.json");
  await writeFile(config, JSON.stringify({ limits: { heartbeatIntervalMs } }));
  relay = await startRelay("--host", "127.0.0.1", "--config", config);
});

afterAll(async () => {
  await relay.stop();
  await rm(folder, { recursive: true });
});

async function start(kind: Kind, role: Role, { origin }: StallingProxy, name: string): Promise<Agent> {
  const program = kind.program({ relay, browser: undefined }, role, [new URL(origin).host, name]);
  return Agent.start(`the ${kind.name} ${role}`, program);
}

// Its programs do nothing but wait, so those of all languages can do it at the same time.
vi.setConfig({ maxConcurrency: languages.length });

describe.concurrent("where nothing comes from the relay any more", () => {
  test.each(languages)("$name's listener and client end with the failure", async (kind) => {
    const obstacle = kind.missing();
    if (obstacle !== undefined && isCi) throw new Error(obstacle);
    if (obstacle !== undefined) return;
    const name = `silent ${kind.name}`;
    const proxy = await openStallingProxy(relay.origin);
    const agents: Agent[] = [];
    try {
      const listener = await start(kind, "listener", proxy, name);
      agents.push(listener);
      await listener.says("listening");
      // It takes longer than two and a half heartbeats to start this, which the relay's pings fill.
      const client = await start(kind, "client", proxy, name);
      agents.push(client);
      await client.says(`hello from ${kind.name}`);
      proxy.stall();
      expect(await listener.fails("unavailable", "LEG_LOST", listenerDeadlineMs)).toContain("silent");
      // The code is the library's choice: connect-go takes the silence for a response that was cut off.
      await client.exits(1, clientDeadlineMs);
      expect(client.stderr.lines.at(-1)).toContain(" FAILURE_UNSPECIFIED ");
    } finally {
      await Promise.all(agents.map((agent) => agent.kill()));
      await proxy.close();
    }
  });
});
