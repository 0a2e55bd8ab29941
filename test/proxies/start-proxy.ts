import { once } from "node:events";
import { mkdtemp, rm, writeFile } from "node:fs/promises";
import { connect, createServer } from "node:net";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { startGroup } from "../engines/process-group.js";
import { findProxy, type ProxyProgram } from "../setup/proxy-programs.js";

/** A proxy that runs. */
export interface RunningProxy {
  origin: string;
  end(): Promise<void>;
}

/** The set-up that lets a program run beside others, without being a service of the system. */
export interface ProxySetup {
  program: ProxyProgram;
  scheme: "http" | "https";
  /** The files in `folder`, which is the proxy's own, by name. */
  files(port: number, folder: string): Record<string, string>;
  args(folder: string): string[];
}

const startTimeoutMs = 10_000;

/** Starts a proxy; resolves when its port answers. */
export async function startProxy({ program, scheme, files, args }: ProxySetup): Promise<RunningProxy> {
  const path = findProxy(program);
  if (path === undefined) throw new Error(`no ${program}: apt-get install ${program}`);
  const folder = await mkdtemp(join(tmpdir(), `${program}-`));
  const port = await freePort();
  for (const [name, text] of Object.entries(files(port, folder))) await writeFile(join(folder, name), text);
  // Caddy keeps its certificates and its last configuration in these folders.
  const env = { XDG_CONFIG_HOME: folder, XDG_DATA_HOME: folder };
  const group = await startGroup(path, args(folder), { env });
  const end = async () => {
    await group.end();
    await rm(folder, { recursive: true });
  };
  try {
    await group.whileItRuns(answers(port));
  } catch (reason) {
    await end();
    throw reason;
  }
  return { origin: `${scheme}://127.0.0.1:${port}`, end };
}

/** These programs tell nobody which port they were given for 0: one that was free a moment ago. */
export async function freePort(): Promise<number> {
  const server = createServer().listen(0, "127.0.0.1");
  await once(server, "listening");
  const address = server.address();
  await new Promise((resolve) => server.close(resolve));
  if (address === null || typeof address === "string") throw new Error("no port");
  return address.port;
}

async function answers(port: number): Promise<void> {
  const deadline = performance.now() + startTimeoutMs;
  while (performance.now() < deadline) {
    const socket = connect(port, "127.0.0.1");
    const connected = await new Promise<boolean>((resolve) => {
      socket.once("connect", () => resolve(true));
      socket.once("error", () => resolve(false));
    });
    socket.destroy();
    if (connected) return;
    await new Promise((resolve) => setTimeout(resolve, 10));
  }
  throw new Error(`port ${port} does not answer after ${startTimeoutMs} ms`);
}
