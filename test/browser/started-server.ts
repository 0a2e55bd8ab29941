import { spawn } from "node:child_process";
import { once } from "node:events";
import { createServer } from "node:net";
import { dirname } from "node:path";
import { createInterface } from "node:readline";
import { onTestFinished } from "vitest";

/** Starts a server by a command, and stops it after the test. Resolves with the first URL that it prints. */
export async function start(command: string, cwd: string): Promise<string> {
  const child = spawn("bash", ["-c", command], {
    cwd,
    detached: true,
    stdio: ["ignore", "pipe", "inherit"],
    // Node 24 comes first, as it does for whoever has installed it.
    env: { ...process.env, NO_COLOR: "1", PATH: `${dirname(process.execPath)}:${process.env.PATH}` },
  });
  const exited = once(child, "close");
  onTestFinished(async () => {
    process.kill(-(child.pid as number));
    await exited;
  });
  for await (const line of createInterface({ input: child.stdout })) {
    const url = /http:\/\/localhost:\d+\//.exec(line)?.[0];
    if (url !== undefined) return url;
  }
  throw new Error(`${command} ended before it listened`);
}

/** Resolves with a port that is free. Vite takes the next one if another program is faster. */
export async function freePort(): Promise<number> {
  const server = createServer().listen(0);
  await once(server, "listening");
  const { port } = server.address() as { port: number };
  server.close();
  return port;
}
