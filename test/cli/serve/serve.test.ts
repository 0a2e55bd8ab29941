import { once } from "node:events";
import { mkdtemp, rm, writeFile } from "node:fs/promises";
import { get } from "node:http";
import { connect } from "node:net";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { createInterface } from "node:readline";
import { fileURLToPath } from "node:url";
import { StreamClient, StreamServer } from "browser-stream-server";
import { expect, onTestFinished, test } from "vitest";
import { type RelayProcess, startRelay } from "../../relay-process.js";
import { CommandLine } from "../command-line.js";

const fixture = (name: string) => fileURLToPath(new URL(`../../fixtures/tls/${name}.pem`, import.meta.url));
const readme = fileURLToPath(new URL("../../../README.md", import.meta.url));
const run = (...args: string[]) => new CommandLine(["serve", ...args]).run();

async function configFile(content: string | Buffer): Promise<string> {
  const folder = await mkdtemp(join(tmpdir(), "bss-"));
  onTestFinished(() => rm(folder, { recursive: true }));
  const path = join(folder, "relay.json");
  await writeFile(path, content);
  return path;
}

/** The events that a relay with `--json` logs. */
async function* eventsOf(relay: CommandLine): AsyncGenerator<Record<string, unknown>, undefined> {
  for await (const line of createInterface({ input: relay.child.stdout })) yield JSON.parse(line);
  return undefined;
}

test("what cannot be done is said in one line, with an exit code", async () => {
  const relay = await startRelay("--host", "127.0.0.1");
  onTestFinished(() => void relay.stop());
  const taken = await run("--host", "127.0.0.1", "--port", new URL(relay.origin).port);
  expect(taken).toMatchObject({ code: 1, errorLines: [expect.any(String)] });
  expect((await run("--help")).code).toBe(0);
});

test.each([
  ["a port that is none", "--port", "no"],
  ["a port that is too high", "--port", "65536"],
  ["an unknown flag", "--nonsense"],
  ["a word", "word"],
  ["a certificate that is a folder", "--tls-cert", "/", "--tls-key", "/"],
  ["a flag without its value", "--port"],
  ["a certificate without its key", "--tls-cert", fixture("cert")],
  ["a certificate that is not there", "--tls-cert", "/nowhere", "--tls-key", fixture("key")],
  ["a certificate that is none", "--tls-cert", readme, "--tls-key", readme],
  ["a host name with a port", "--host-name", "relay.example:8080"],
  ["a configuration that is not there", "--config", "/nowhere"],
  ["an address of metrics that is none", "--metrics", "localhost"],
  ["a gateway by something else", "--gateway", "port"],
  ["a gateway below any host", "--gateway", "host", "--host-name", "*"],
  ["a drain timeout that is none", "--drain-timeout-ms", "10s"],
  ["a drain timeout that no timer takes", "--drain-timeout-ms", "3000000000"],
])("%s is refused: exit code 2", async (_, ...args) => {
  expect(await run("--port", "0", ...args)).toMatchObject({ code: 2, errorLines: [expect.any(String)], output: "" });
});

test.each([
  ["text", "port = 1"],
  ["bytes that are no UTF-8", Buffer.from('{ "host": "\xff" }', "latin1")],
  ["a port that is too high", '{ "port": 65536 }'],
  ["a list", "[]"],
  ["an empty list of names", '{ "hostName": [] }'],
  ["a key that is none", '{ "ports": 1 }'],
  ["a value of another type", '{ "origin": "https://a.example" }'],
  ["a limit that is none", '{ "limits": { "maxStream": 1 } }'],
  ["a limit that cannot be", '{ "limits": { "maxStreams": 0 } }'],
  ["a limit that no timer takes", '{ "limits": { "heartbeatIntervalMs": 3000000000 } }'],
  ["limits in a list", '{ "limits": [] }'],
  ["a key that every object has", '{ "toString": "x" }'],
  ["a limit that every object has", '{ "limits": { "toString": 1 } }'],
  ["a drain timeout that is text", '{ "drainTimeoutMs": "10" }'],
  ["a drain timeout below zero", '{ "drainTimeoutMs": -1 }'],
  ["a port that is no whole number", '{ "port": 1.5 }'],
  ["a prefix that is no path", '{ "prefix": "a b" }'],
  ["a trusted proxy that is no address", '{ "trustedProxy": ["proxy.example"] }'],
  ["an origin that is none", '{ "origin": ["https://a.example/path"] }'],
  ["an origin that is none beside all", '{ "origin": ["*", "https://a.example/path"] }'],
])("a configuration with %s is refused: exit code 2", async (_, content) => {
  const { code, errorLines } = await run("--port", "0", "--config", await configFile(content));
  expect({ code, lines: errorLines.length }).toEqual({ code: 2, lines: 1 });
});

test("a variable that is empty counts as none, and a switch is 1 or 0", async () => {
  const environment = { BSS_PORT: "", BSS_HOST: "", BSS_ORIGIN: "", BSS_CONFIG: "", BSS_TLS_CERT: "", BSS_JSON: "0" };
  const relay = new CommandLine(["serve", "--port", "0"], environment);
  const [address] = await once(createInterface({ input: relay.child.stdout }), "line");
  expect(address).toMatch(/^http:\/\/localhost:\d+\/$/);
  relay.child.kill("SIGINT");
  expect(await relay.exitCode).toBe(0);
  const odd = await new CommandLine(["serve", "--port", "0"], { BSS_JSON: "maybe" }).run();
  expect(odd).toMatchObject({ code: 2, errorLines: [expect.any(String)] });
});

test.each([
  ["a flag", ["--host", "0.0.0.0"], {}],
  ["the environment", [], { BSS_HOST: "::" }],
])(
  "an address that other machines reach, from %s, takes --open: exit code 2, and two lines",
  async (_, args, environment) => {
    const closed = await new CommandLine(["serve", "--port", "0", ...args], environment).run();
    expect(closed).toMatchObject({ code: 2, output: "", errorLines: [expect.any(String), expect.any(String)] });
    expect(closed.errorLines[1]).toContain("--open");
    const relay = await startRelay(
      ...args,
      "--open",
      ...Object.values(environment).flatMap((host) => ["--host", host]),
    );
    onTestFinished(() => void relay.stop());
    expect((await fetch(`http://127.0.0.1:${new URL(relay.origin).port}/readyz`)).status).toBe(200);
  },
);

test("with nothing said, no address of the machine's on a network leads to the relay, and with BSS_OPEN each does", async () => {
  const port = async (environment: Record<string, string>) => {
    const relay = new CommandLine(["serve", "--port", "0", "--json"], environment);
    const { addresses } = (await eventsOf(relay).next()).value as { addresses: string[] };
    return Number(new URL(addresses[0] ?? "").port);
  };
  const reaches = (host: string, at: number) =>
    new Promise<boolean>((resolve) => {
      const socket = connect({ host, port: at });
      socket.once("connect", () => resolve(true)).once("error", () => resolve(false));
      socket.once("connect", () => socket.destroy());
    });
  // All of 127.0.0.0/8 leads to this machine, so this address stands for one of a network, which not every machine has.
  const other = "127.0.0.2";
  expect(await reaches(other, await port({}))).toBe(false);
  expect(await reaches(other, await port({ BSS_OPEN: "1" }))).toBe(true);
});

test("pages are served by the machine's names, or by those of --host-name", async () => {
  const statusBy = async (relay: RelayProcess, host: string) => {
    const { port } = new URL(relay.origin);
    const [response] = await once(get({ port, host: "127.0.0.1", headers: { host } }), "response");
    response.resume();
    return response.statusCode;
  };
  const [own, named] = await Promise.all([startRelay(), startRelay("--host-name", "relay.example")]);
  onTestFinished(async () => void (await Promise.all([own.stop(), named.stop()])));
  expect([await statusBy(own, new URL(own.origin).host), await statusBy(own, "rebound.example")]).toEqual([200, 403]);
  expect([await statusBy(named, "relay.example"), await statusBy(named, "localhost")]).toEqual([200, 403]);
});

test("a relay at an address of IPv6 is reached", async () => {
  const relay = await startRelay("--host", "::1");
  onTestFinished(() => void relay.stop());
  expect(await new CommandLine(["ls", "--relay", relay.origin]).run()).toEqual({ code: 0, output: "", errorLines: [] });
});

test("Ctrl-C, even twice, ends it well while streams are open", async () => {
  const config = await configFile(JSON.stringify({ limits: { graceMs: 500 } }));
  const relay = await startRelay("--prefix", "/there", "--config", config);
  const server = StreamServer(relay.origin, { prefix: "/there" }, (stream) => stream.resume()).listen("name");
  await server.ready;
  const stream = StreamClient(relay.origin, { prefix: "there" }).connect("name");
  await stream.opened;
  relay.child.kill("SIGINT");
  expect(await relay.stop()).toBe(0);
  await expect(stream.closed).rejects.toThrow();
  await expect(server.closed).rejects.toThrow();
});

test("--origin lets another page in", async () => {
  const relay = await startRelay("--origin", "https://a.example", "--origin", "https://b.example");
  onTestFinished(() => void relay.stop());
  const { headers } = await fetch(`${relay.origin}/browser-server/streamserver.v1.RelayService/List`, {
    method: "OPTIONS",
    headers: { origin: "https://b.example", "access-control-request-method": "POST" },
  });
  expect(headers.get("access-control-allow-origin")).toBe("https://b.example");
});

test("--json logs a line for each event, and the command line, the environment and the file count in this order", async () => {
  const config = await configFile(
    JSON.stringify({ port: 1, host: "127.0.0.2", prefix: "/config", json: true, limits: { maxNameBytes: 5 } }),
  );
  const environment = { BSS_CONFIG: config, BSS_HOST: "127.0.0.1", BSS_PREFIX: "/environment" };
  const relay = new CommandLine(["serve", "--port", "0"], environment);
  const events = eventsOf(relay);
  const next = async () => (await events.next()).value;
  const listening = await next();
  expect(listening).toEqual({
    level: "info",
    time: expect.any(String),
    event: "listening",
    addresses: [expect.stringMatching(/^http:\/\/127\.0\.0\.1:\d+\/$/)],
    prefix: "/environment",
  });
  const [address = ""] = (listening as { addresses: string[] }).addresses;
  const options = { prefix: "/environment", listed: true };
  const server = StreamServer(address, options).listen("name");
  await server.ready;
  expect(await next()).toMatchObject({ event: "name.claimed", name: "name", listed: true });
  const tooLong = StreamServer(address, options).listen("longer");
  await expect(tooLong.ready).rejects.toThrow();
  expect(await next()).toMatchObject({ event: "refused", call: "listen", reason: "NAME_INVALID", name: "longer" });
  await server.end();
  expect(await next()).toMatchObject({ event: "name.released", name: "name", reason: "unlisten" });
  const killed = new CommandLine(["listen", "other", "--relay", address, "--prefix", "/environment"]);
  expect(await next()).toMatchObject({ event: "name.claimed", name: "other", listed: false });
  killed.child.kill("SIGKILL");
  expect(await next()).toMatchObject({ event: "name.suspended", name: "other", graceMs: 120_000 });
  relay.child.kill("SIGTERM");
  expect(await next()).toMatchObject({ event: "name.released", name: "other", reason: "moved" });
  expect(await next()).toMatchObject({ event: "stopped" });
  expect(await next()).toBeUndefined();
  expect(await relay.exitCode).toBe(0);
});

test("a log line has no character that a terminal does not show, and the name in it can be read back", async () => {
  const name = "\u009b31m\u202e\u2028";
  const logged = async (...args: string[]) => {
    const relay = new CommandLine(["serve", "--port", "0", "--host", "127.0.0.1", ...args]);
    const lines = createInterface({ input: relay.child.stdout })[Symbol.asyncIterator]();
    const next = async () => (await lines.next()).value ?? "";
    const origin = /http:\/\/127\.0\.0\.1:\d+/.exec(await next())?.[0] ?? "";
    const said: string[] = [];
    const server = StreamServer(origin).listen(name);
    while (!said.at(-1)?.includes("claimed")) said.push(await next());
    await server.ready;
    await server.end();
    said.push(await next());
    relay.child.kill("SIGINT");
    relay.child.stdout.resume();
    expect(await relay.exitCode).toBe(0);
    return said.slice(-2);
  };
  const forPrograms = await logged("--json");
  expect(forPrograms.map((line) => JSON.parse(line).name)).toEqual([name, name]);
  const forPeople = await logged();
  for (const line of [...forPrograms, ...forPeople]) expect(line).toMatch(/^[ -~]+$/);
});

test("with a certificate it speaks TLS, which a command trusts when it is told to", async () => {
  const relay = await startRelay("--host", "127.0.0.1", "--tls-cert", fixture("cert"), "--tls-key", fixture("key"));
  onTestFinished(() => void relay.stop());
  expect(relay.origin).toMatch(/^https:/);
  const args = ["ls", "--relay", relay.origin];
  const trusting = await new CommandLine(args, { NODE_EXTRA_CA_CERTS: fixture("cert") }).run();
  expect(trusting).toEqual({ code: 0, output: "", errorLines: [] });
  const careful = await new CommandLine(args).run();
  expect(careful).toMatchObject({ code: 6, output: "", errorLines: [expect.any(String)] });
});
