import { spawn } from "node:child_process";
import { once } from "node:events";
import { readFileSync } from "node:fs";
import { mkdtemp, rm } from "node:fs/promises";
import { createRequire } from "node:module";
import { tmpdir } from "node:os";
import { delimiter, dirname, join, resolve } from "node:path";
import { createInterface } from "node:readline";
import { text } from "node:stream/consumers";
import { createFetch } from "browser-stream-server/http";
import type { GatewayOptions } from "browser-stream-server/server";
import { build, preview } from "vite";
import { afterAll, beforeAll, describe, expect, test } from "vitest";
import { chromium } from "../engines/chromium.js";
import type { EngineBrowser } from "../engines/engine.js";
import { openRelay, type TestRelay } from "../integration/relay-ports.js";
import { readmeBlocks } from "../readme.js";
import { calculatorGo, goToolsFolder, grpcJsPrograms, pythonPrograms } from "../setup/example-programs.js";

const root = resolve(import.meta.dirname, "../..");
const example = join(root, "examples/calculator");
const readme = readFileSync(join(example, "README.md"), "utf8");
const [printed = ""] = readmeBlocks("text", readme);
const tabProgram = readFileSync(join(example, "tab.js"), "utf8");

/** The gateway by host finds the tab by this authority, at whichever address. */
const host = "relay.example";
const authority = `calculator.${host}`;
const service = "calculator.v1.CalculatorService";

/** The programs of the README, of its tools and of the package, in this order. */
const programs = [
  join(pythonPrograms.outFolder, "bin"),
  goToolsFolder,
  join(root, "node_modules/.bin"),
  dirname(process.execPath),
];
const path = [...programs, process.env.PATH].join(delimiter);

interface Way {
  relay: TestRelay;
  /** The port that `bss connect --grpc-port` opens. */
  grpcPort: string;
  close(): Promise<void>;
}

/** A relay, a tab that serves the example's calculator on it, and a port that leads there. */
async function openWay(browser: EngineBrowser, gateway: GatewayOptions): Promise<Way> {
  const relay = await openRelay({ gateway, limits: { graceMs: 2_000 } });
  const tab = await browser.openTab(relay.origin);
  await tab.run(`${tabProgram.replace("./gen/calculator_pb.js", "calculator")}\nawait server.ready;`);
  const args = ["connect", "calculator", "--relay", relay.origin, "--grpc-port", "0"];
  const command = spawn(process.execPath, [join(root, "dist/cli/main.js"), ...args], {
    stdio: ["ignore", "ignore", "pipe"],
  });
  const [said] = (await once(createInterface({ input: command.stderr }), "line")) as [string];
  const grpcPort = /127\.0\.0\.1:\d+/.exec(said)?.[0] ?? "";
  return {
    relay,
    grpcPort,
    async close() {
      command.kill("SIGINT");
      await once(command, "exit");
      await tab.close();
      await relay.close();
    },
  };
}

/** Runs a command of the shell to its end, and returns what it has printed. Throws what it said if it failed. */
async function shell(command: string): Promise<string> {
  const child = spawn("bash", ["-c", command], {
    cwd: root,
    stdio: ["ignore", "pipe", "pipe"],
    env: { ...process.env, PATH: path },
  });
  const [output, errors] = await Promise.all([text(child.stdout), text(child.stderr), once(child, "close")]);
  if (child.exitCode !== 0) throw new Error(`${command} (exit code ${child.exitCode})\n${errors}${output}`);
  return output;
}

/** The README's command that holds `part`, with places of this test. */
function documented(part: string, ...replaced: [string, string][]): string {
  const found = readmeBlocks("sh", readme).find((block) => block.includes(part)) ?? "";
  return replaced.reduce((command, [from, to]) => {
    expect(command).toContain(from);
    return command.replace(from, to);
  }, found);
}

/** The values of a field in texts of JSON, one behind the other. */
function sums(output: string): number[] {
  return [...output.matchAll(/"sum":\s*([\d.]+)/g)].map(([, sum]) => Number(sum));
}

let browser: EngineBrowser;
let byHost: Way;
let byPath: Way;
beforeAll(async () => {
  browser = await chromium.launch();
  byHost = await openWay(browser, { by: "host", host });
  byPath = await openWay(browser, { by: "path" });
});
afterAll(async () => {
  await byHost?.close();
  await byPath?.close();
  await browser?.close();
});

// Each waits for programs that start, most of the time.
describe("the calculator in a tab is called", { concurrent: true }, () => {
  const vite = "http://localhost:5173";
  const goProgram: [string, string] = ["go run -C examples/calculator/go .", calculatorGo.program];

  test("by curl, at its URL, in the page that Vite serves", async ({ onTestFinished }) => {
    const outDir = await mkdtemp(join(tmpdir(), "bss-calculator-"));
    onTestFinished(() => rm(outDir, { recursive: true }));
    const files = { root: example, logLevel: "error" as const, build: { outDir, emptyOutDir: true } };
    await build(files);
    const server = await preview({ ...files, preview: { port: 0, host: "127.0.0.1" } });
    onTestFinished(() => server.close());
    const [url = ""] = server.resolvedUrls?.local ?? [];
    const tab = await browser.openTab(new URL(url).origin);
    onTestFinished(() => tab.close());
    await tab.goto(url);
    const { origin } = new URL(url);
    // The page may not have its name yet.
    const fetchTab = createFetch(origin, "calculator", { waitForListenerMs: 10_000 });
    expect((await fetchTab("/")).status).toBe(404);
    await fetchTab.close();
    expect(sums(await shell(documented("curl", [vite, origin])))).toEqual([3]);
    expect(await tab.evaluate(`document.querySelector("li").textContent`)).toMatch(/^1 \+ 2, for curl/);
  });

  test("by Node, over a stream", async () => {
    expect(await shell(documented("caller.js", [vite, byPath.relay.origin]))).toBe(printed);
  });

  test("by Python's gRPC, at the port of bss connect and through the gateway by host", async () => {
    const command = (address: string) => documented("caller.py", ["localhost:5000", address]);
    expect(await shell(command(byPath.grpcPort))).toBe(printed);
    expect(await shell(command(`${new URL(byHost.relay.origin).host} ${authority}`))).toBe(printed);
  });

  test("by Go's Connect, at the port of bss connect and through the gateway by path", async () => {
    const command = (url: string) => documented("go run", goProgram, ["http://localhost:5000", url]);
    expect(await shell(command(`http://${byHost.grpcPort}`))).toBe(printed);
    expect(await shell(command(`${byPath.relay.origin}/~/calculator`))).toBe(printed);
  });

  test("by grpc-js, through the gateway by host", async () => {
    const { credentials, loadPackageDefinition, loadSync } = grpcJs();
    const { calculator } = loadPackageDefinition(loadSync(join(example, "calculator.proto"))) as unknown as Loaded;
    const options = { "grpc.default_authority": authority };
    const { host: address } = new URL(byHost.relay.origin);
    const client = new calculator.v1.CalculatorService(address, credentials.createInsecure(), options);
    const answer = (method: "add" | "sum", given?: object) =>
      new Promise<unknown>((resolve, reject) => {
        const done = (error: Error | null, value?: Sum) => (error === null ? resolve(value?.sum) : reject(error));
        const call = given === undefined ? client[method](done) : client[method](given, done);
        if (given === undefined) sendNumbers(call);
      });
    const read = async (call: Call) => {
      const values: number[] = [];
      for await (const { sum } of call) if (values.push(sum) === 3) break;
      call.cancel();
      return values;
    };
    expect(await answer("add", { a: 1, b: 2 })).toBe(3);
    expect(await read(client.subscribe({ step: 5 }))).toEqual([5, 10, 15]);
    expect(await answer("sum")).toBe(6);
    expect(await read(sendNumbers(client.accumulate()))).toEqual([1, 3, 6]);
    client.close();
  });

  const numbers = [1, 2, 3].map((number) => JSON.stringify({ number })).join("");
  const calls = [
    { method: "Add", data: '{"a": 1, "b": 2}', expected: [3] },
    // It has no end but that of its caller, which reads no further.
    { method: "Subscribe", data: '{"step": 5}', expected: [5, 10, 15], reads: "| head -n 9" },
    { method: "Sum", data: numbers, expected: [6] },
    { method: "Accumulate", data: numbers, expected: [1, 3, 6] },
  ];

  test("by grpcurl, which learns from reflection what it calls", async () => {
    const ways = [`-authority ${authority} ${new URL(byHost.relay.origin).host}`, byPath.grpcPort];
    for (const way of ways) {
      expect((await shell(`grpcurl -plaintext ${way} list`)).split("\n")).toContain(service);
      for (const { method, data, expected, reads = "" } of calls) {
        const output = await shell(`grpcurl -plaintext -d '${data}' ${way} ${service}/${method} ${reads}`);
        expect([method, sums(output)]).toEqual([method, expected]);
      }
    }
  });

  test("by grpc-health-probe", async () => {
    // The probe gives a call one second by itself, in which a busy machine may not open the stream to the tab.
    const probe = `grpc-health-probe -rpc-timeout=20s -addr=${byHost.grpcPort}`;
    for (const name of ["", service]) await shell(`${probe} -service=${name}`);
    await expect(shell(`${probe} -service=other`)).rejects.toThrow();
  });

  test.each(["grpc", "grpcweb", "connect"])("by buf curl over %s, which knows paths", async (protocol) => {
    const buf = `buf curl --http2-prior-knowledge --protocol ${protocol}`;
    const url = `${byPath.relay.origin}/~/calculator`;
    expect(await shell(`${buf} --list-methods ${url}`)).toContain(`${service}/Accumulate`);
    for (const { method, data, expected, reads = "" } of calls) {
      const output = await shell(`${buf} -d '${data}' ${url}/${service}/${method} ${reads}`);
      expect([method, sums(output).slice(0, 3)]).toEqual([method, expected]);
    }
  });
});

interface Sum {
  sum: number;
}
interface Call extends AsyncIterable<Sum> {
  write(message: object): void;
  end(): void;
  cancel(): void;
}
type Done = (error: Error | null, value?: Sum) => void;
interface CalculatorClient {
  add(...args: [...object[], Done]): Call;
  sum(...args: [...object[], Done]): Call;
  subscribe(request: object): Call;
  accumulate(): Call;
  close(): void;
}
interface Loaded {
  calculator: {
    v1: { CalculatorService: new (address: string, credentials: unknown, options: object) => CalculatorClient };
  };
}

function sendNumbers(call: Call): Call {
  for (const number of [1, 2, 3]) call.write({ number });
  call.end();
  return call;
}

/** The libraries of examples/node, which are no dependencies of this package. */
function grpcJs() {
  const load = createRequire(join(grpcJsPrograms.folder, "package.json"));
  return { ...load("@grpc/grpc-js"), ...load("@grpc/proto-loader") } as {
    credentials: { createInsecure(): unknown };
    loadPackageDefinition(definition: unknown): object;
    loadSync(path: string): unknown;
  };
}
