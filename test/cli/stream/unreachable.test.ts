import { spawn, spawnSync } from "node:child_process";
import { once } from "node:events";
import { mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { createServer as createHttpServer } from "node:http";
import { type AddressInfo, createServer } from "node:net";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { text } from "node:stream/consumers";
import { expect, onTestFinished, test } from "vitest";
import { CommandLine, mainPath } from "../command-line.js";
import { startLimitedRelay } from "../file-relay.js";

const commands = [
  ["ls"],
  ["ls", "--watch"],
  ["connect", "name"],
  ["connect", "name", "--port", "0"],
  ["listen", "name"],
  ["listen", "name", "--to", "127.0.0.1:1"],
];

/** A port at which nobody listens. */
async function freePort(): Promise<number> {
  const nobody = createServer().listen(0, "127.0.0.1");
  await once(nobody, "listening");
  const { port } = nobody.address() as AddressInfo;
  nobody.close();
  return port;
}

/** Whether this machine lets the test have names of its own: for the superuser, outside of most containers. */
const hasOwnHosts = spawnSync("unshare", ["--mount", "mount", "--bind", "/etc/hosts", "/etc/hosts"]).status === 0;

test.runIf(hasOwnHosts)("each address of a host that refuses is told: 6", async () => {
  const folder = mkdtempSync(join(tmpdir(), "bss-"));
  onTestFinished(() => rmSync(folder, { recursive: true }));
  const hosts = join(folder, "hosts");
  writeFileSync(hosts, "127.0.0.1 localhost\n127.0.0.2 localhost\n");
  const url = `http://localhost:${await freePort()}`;
  for (const args of commands) {
    const command = [process.execPath, mainPath, ...args, "--relay", url];
    const script = 'mount --bind "$0" /etc/hosts && exec "$@"';
    const child = spawn("unshare", ["--mount", "sh", "-c", script, hosts, ...command], {
      stdio: ["ignore", "ignore", "pipe"],
    });
    const [errors, [code]] = await Promise.all([text(child.stderr), once(child, "close")]);
    expect({ code, lines: errors.trimEnd().split("\n").length }).toEqual({ code: 6, lines: 1 });
    const addresses = ["127.0.0.1", "127.0.0.2"].map((address) => `${address}:${new URL(url).port}`);
    for (const words of [`${url}/browser-server`, ...addresses]) expect(errors).toContain(words);
  }
});

test.each([404, 403, 401, 500, 502])("a server that answers %i has no relay: 6", async (status) => {
  const server = createHttpServer((_, response) => response.writeHead(status).end()).listen(0, "127.0.0.1");
  onTestFinished(() => {
    server.closeAllConnections();
    server.close();
  });
  await once(server, "listening");
  const url = `http://127.0.0.1:${(server.address() as AddressInfo).port}`;
  for (const args of status === 404 ? commands : [["ls"]]) {
    const { code, errorLines } = await new CommandLine([...args, "--relay", url]).run();
    expect({ code, lines: errorLines.length }).toEqual({ code: 6, lines: 1 });
    for (const words of [`${url}/browser-server`, String(status)]) expect(errorLines[0]).toContain(words);
  }
});

test("a relay that is killed after it has answered is told with its URL, by every command that needs it: 6", async () => {
  const relay = await startLimitedRelay({ graceMs: 500 });
  onTestFinished(() => void relay.stop());
  const run = (...args: string[]) => new CommandLine([...args, "--relay", relay.origin]);
  const claimed = [run("listen", "idle", "--listed"), run("listen", "web", "--listed", "--to", "127.0.0.1:1")];
  await Promise.all(claimed.map((listener) => listener.hasSaid()));
  const watching = run("ls", "--watch");
  await once(watching.child.stdout, "data");
  const all = [...claimed, watching];
  for (const { child } of all) child.stdout.resume();
  relay.child.kill("SIGKILL");
  expect(await Promise.all(all.map(({ exitCode }) => exitCode))).toEqual([6, 6, 6]);
  for (const { errorLines } of all) expect(errorLines.at(-1)).toContain(`${relay.origin}/browser-server`);
});
