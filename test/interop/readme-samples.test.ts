import { type ChildProcessByStdio, spawn } from "node:child_process";
import { once } from "node:events";
import { readFileSync } from "node:fs";
import { mkdtemp, rm, symlink, writeFile } from "node:fs/promises";
import { createServer } from "node:http";
import type { AddressInfo } from "node:net";
import { tmpdir } from "node:os";
import { delimiter, dirname, join, resolve } from "node:path";
import { createInterface } from "node:readline";
import type { Readable, Writable } from "node:stream";
import { text } from "node:stream/consumers";
import { Client } from "@modelcontextprotocol/sdk/client/index.js";
import { StdioClientTransport } from "@modelcontextprotocol/sdk/client/stdio.js";
import { StreamableHTTPClientTransport } from "@modelcontextprotocol/sdk/client/streamableHttp.js";
import { build, type Rolldown } from "vite";
import { afterAll, beforeAll, describe, expect, type OnTestFinishedHandler, test } from "vitest";
import type { EngineTab } from "../engines/engine.js";
import { engines } from "../engines/engines.js";
import { launchedEngines } from "../engines/launched-engines.js";
import { openRelay, type TestRelay } from "../integration/relay-ports.js";
import { until } from "../integration/until.js";
import { reachable } from "../reachable.js";
import { readmeBlocks } from "../readme.js";
import { goToolsFolder, websocatProgram } from "../setup/example-programs.js";

const root = resolve(import.meta.dirname, "../..");
const guide = readFileSync(join(root, "docs/agents.md"), "utf8");
const relayInSamples = 'globalThis.location?.origin ?? "http://localhost:8080"';

/** The README's sample that holds a text. */
function sample(part: string, blocks = readmeBlocks("js")): string {
  const found = blocks.find((block) => block.includes(part));
  if (found === undefined) throw new Error(`there is no sample with ${part}`);
  return found;
}

/** The README's command that begins so, with places of this test for the README's. */
function command(beginning: string, replaced: Record<string, string> = {}): string {
  const found = readmeBlocks("sh").find((block) => block.startsWith(beginning));
  if (found === undefined) throw new Error(`the README has no ${beginning}`);
  return Object.entries(replaced).reduce((given, [from, to]) => {
    expect(given).toContain(from);
    return given.replace(from, to);
  }, found.trim());
}

/** A tab keeps what its samples print. */
const keepPrinted = `void (globalThis.printed = [], console.log = (...words) => {
  printed.push(words.map((word) => typeof word === "string" ? word : JSON.stringify(word)).join(" "));
})`;

type OnFinished = (end: OnTestFinishedHandler) => void;

const browserOf = launchedEngines();
let programs: string;
let agentsSample: string;

beforeAll(async () => {
  programs = await mkdtemp(join(tmpdir(), "bss-samples-"));
  await symlink(join(root, "dist/cli/main.js"), join(programs, "bss"));
  // It stands inside of the package, where its own name leads to its build, and becomes one module with its imports.
  const entry = join(root, "test/.out/readme-tools.js");
  await writeFile(entry, `const relayUrl = location.origin;\n${sample("serve(relayUrl", readmeBlocks("js", guide))}`);
  const lib = { entry, formats: ["es" as const] };
  const built = await build({ root, configFile: false, logLevel: "error", build: { write: false, lib } });
  agentsSample = (built as Rolldown.RolldownOutput[])[0]?.output[0].code ?? "";
});

afterAll(() => rm(programs, { recursive: true }));

describe.each(engines)("the README's samples, with a tab of $name,", { concurrent: true }, (engine) => {
  let byPath: TestRelay;
  /** Another relay, because names are either in paths or in hosts. */
  let byHost: TestRelay;
  let tab: EngineTab;
  let another: EngineTab;

  beforeAll(async () => {
    // A browser may end a tab before its goodbye is sent, and its names stay for so long.
    const limits = { graceMs: 2_000 };
    byPath = await openRelay({ limits, gateway: { by: "path" } });
    byHost = await openRelay({ limits, gateway: { by: "host", host: "localhost" }, origins: [byPath.origin] });
    const open = () => browserOf(engine).openTab(byPath.origin);
    [tab, another] = await Promise.all([open(), open()]);
    for (const each of [tab, another]) await each.evaluate(keepPrinted);
  });

  afterAll(async () => {
    await Promise.all([tab?.close(), another?.close()]);
    await byPath?.close();
    await byHost?.close();
  });

  const environment = () => ({
    ...process.env,
    PATH: [programs, goToolsFolder, dirname(websocatProgram), dirname(process.execPath), process.env.PATH].join(
      delimiter,
    ),
    BSS_RELAY: byPath.origin,
  });

  /** Starts a command in a shell, which becomes the program. It is ended with the test. */
  function start(onTestFinished: OnFinished, commandLine: string): ChildProcessByStdio<Writable, Readable, Readable> {
    const child = spawn("bash", ["-c", `exec ${commandLine}`], { env: environment() });
    // A program that ends leaves its input unread.
    child.stdin.on("error", () => {});
    const exited = once(child, "close");
    onTestFinished(async () => {
      child.kill("SIGKILL");
      await exited;
    });
    return child;
  }

  /** The first line that a command says on standard error. */
  async function said({ stderr }: { stderr: Readable }): Promise<string> {
    return ((await once(createInterface({ input: stderr }), "line")) as [string])[0];
  }

  const output = (onTestFinished: OnFinished, commandLine: string) => text(start(onTestFinished, commandLine).stdout);

  test("the notebook is called in another tab, and by curl at a path and at a host", async ({ onTestFinished }) => {
    const serving = sample('"notebook", async (request)');
    await tab.run(serving);
    await another.run(sample('createFetch(relay, "notebook")'));
    expect(await another.evaluate("printed")).toContain('[CALLER] ["1 + 1","2 + 2"]');
    const host = new URL(byPath.origin).host;
    expect(
      JSON.parse(await output(onTestFinished, command("curl http://localhost:8080/~/", { "localhost:8080": host }))),
    ).toEqual(["1 + 1", "2 + 2"]);
    expect(serving).toContain(relayInSamples);
    await tab.run(serving.replace(relayInSamples, JSON.stringify(byHost.origin)));
    const { port } = new URL(byHost.origin);
    expect(
      JSON.parse(await output(onTestFinished, command("curl http://notebook.localhost:8080", { "8080": port }))),
    ).toEqual(["1 + 1"]);
  });

  test("the calculator is called in another tab, and by grpcurl at the port of bss connect", async ({
    onTestFinished,
  }) => {
    const run = (on: EngineTab, part: string) => on.run(sample(part).replace("./gen/calculator_pb.js", "calculator"));
    await run(tab, "connectHandler((router)");
    await run(another, 'createStreamTransport(relay, "calculator")');
    expect(await another.evaluate("printed")).toEqual(
      expect.arrayContaining(["[SUM] 3", "[MULTIPLE] 5", "[MULTIPLE] 10", "[MULTIPLE] 15"]),
    );
    const port = start(onTestFinished, command("bss connect calculator", { "--grpc-port 5000": "--grpc-port 0" }));
    const address = /127\.0\.0\.1:\d+/.exec(await said(port))?.[0] ?? "";
    const answer = await output(onTestFinished, command("grpcurl", { "localhost:5000": address }));
    expect(JSON.parse(answer)).toEqual({ sum: 3 });
  });

  test("the stream server is called by websocat", async ({ onTestFinished }) => {
    await tab.run(sample('.listen("SERVER_NAME")'));
    await reachable(byPath.origin, "SERVER_NAME");
    const websocat = command("websocat", { "localhost:8080": new URL(byPath.origin).host });
    const client = start(onTestFinished, websocat);
    client.stdin.write("from websocat\n");
    expect(await once(createInterface({ input: client.stdout }), "line")).toEqual(["from server"]);
    // The program ends messages with the lines that they came in.
    await until(async () => ((await tab.evaluate("printed")) as string[]).includes("[SERVER] from websocat\n"));
  });

  test("the tools are called by bss mcp, and at their URL", async ({ onTestFinished }) => {
    await tab.run(agentsSample);
    await tab.evaluate(`void (document.title = "A tab")`);
    const [program = "", ...args] = command("bss mcp").split(" ");
    const env = environment() as Record<string, string>;
    const url = new URL("/~/tab/mcp", byPath.origin);
    for (const transport of [
      // It waits for a tab that is about to listen.
      new StdioClientTransport({ command: join(programs, program), args, env, stderr: "ignore" }),
      new StreamableHTTPClientTransport(url),
    ]) {
      const client = new Client({ name: "test", version: "1" });
      onTestFinished(() => client.close());
      await client.connect(transport as never);
      expect((await client.callTool({ name: "title" })).content).toEqual([{ type: "text", text: "A tab" }]);
    }
  });

  test("a local server behind bss listen --http is called in a tab", async ({ onTestFinished }) => {
    const local = createServer((request, response) => response.end(`a page at ${request.url}`)).listen(0, "127.0.0.1");
    onTestFinished(() => void local.close().closeAllConnections());
    await once(local, "listening");
    const { port } = local.address() as AddressInfo;
    await said(start(onTestFinished, command("bss listen web --http", { "localhost:3000": `127.0.0.1:${port}` })));
    await tab.run(`
      import { createFetch } from "browser-stream-server/http";
      console.log(await (await createFetch(location.origin, "web")("/cells")).text());
    `);
    expect(await tab.evaluate("printed")).toContain("a page at /cells");
  });
});
