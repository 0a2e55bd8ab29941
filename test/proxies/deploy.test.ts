import { type ChildProcess, spawn, spawnSync } from "node:child_process";
import { once } from "node:events";
import { existsSync, readFileSync } from "node:fs";
import { mkdtemp, rm, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { fileURLToPath } from "node:url";
import { Failure, StreamClient, StreamServer } from "browser-stream-server";
import { afterAll, beforeAll, describe, expect, test } from "vitest";
import { substitute, tlsFile } from "./documented.js";
import { freePort, type RunningProxy, startProxy } from "./start-proxy.js";
import { trustTestCertificate } from "./trust.js";

const root = fileURLToPath(new URL("../../", import.meta.url));
const textOf = (path: string) => readFileSync(join(root, path), "utf8");

/** The container of the Dockerfile, without its walls: `/app` is the repository, and `/data` a folder of the test's. */
class Container {
  readonly #environment: Record<string, string>;
  readonly #dataFolder: string;

  constructor(dataFolder: string, ...environments: Record<string, string>[]) {
    this.#dataFolder = dataFolder;
    const line = /^ENV (.*)$/m.exec(textOf("Dockerfile"))?.[1] ?? "";
    const own = Object.fromEntries(line.split(" ").map((pair) => pair.split("=", 2) as [string, string]));
    this.#environment = Object.assign(own, ...environments);
  }

  /** Runs the image, with its own command or with another. */
  run(...command: string[]): ChildProcess {
    const args = command.length > 0 ? command : this.#words("CMD", /^CMD (\[.*\])$/m);
    const [program = "", ...before] = this.#words("ENTRYPOINT", /^ENTRYPOINT (\[.*\])$/m);
    return spawn(this.#program(program), [...before, ...args].map(this.#path), {
      env: this.#env,
      stdio: ["ignore", "pipe", "pipe"],
    });
  }

  /** The exit code of the health check. */
  health(): number | null {
    const [program = "", ...args] = this.#words("HEALTHCHECK", /^HEALTHCHECK .*\\\n\s+CMD (\[.*\])$/m);
    return spawnSync(this.#program(program), args, { env: this.#env }).status;
  }

  get #env(): Record<string, string> {
    return Object.fromEntries(Object.entries(this.#environment).map(([key, value]) => [key, this.#path(value)]));
  }

  readonly #path = (text: string) => text.replace(/^\/app\//, root).replace(/^\/data(?=\/|$)/, this.#dataFolder);

  #program(name: string): string {
    return name === "node" ? process.execPath : name;
  }

  #words(what: string, pattern: RegExp): string[] {
    const list = pattern.exec(textOf("Dockerfile"))?.[1];
    if (list === undefined) throw new Error(`the Dockerfile has no ${what} as a list`);
    return JSON.parse(list) as string[];
  }
}

/** The environment of the relay in compose.yaml. */
function composeEnvironment(relayName: string): Record<string, string> {
  const service = /^ {2}relay:\n(.*?)^ {2}\w/ms.exec(textOf("examples/deploy/compose.yaml"))?.[1] ?? "";
  const pairs = [...service.matchAll(/^ {6}(\w+): (.*)$/gm)].map(([, key = "", value = ""]) => [key, value]);
  return Object.fromEntries(pairs.map(([key, value]) => [key, value?.replace(/\$\{RELAY_NAME[^}]*\}/, relayName)]));
}

async function ended(child: ChildProcess): Promise<{ code: number | null; output: string; errors: string[] }> {
  const texts = { stdout: "", stderr: "" };
  for (const name of ["stdout", "stderr"] as const) {
    child[name]?.setEncoding("utf8").on("data", (text: string) => {
      texts[name] += text;
    });
  }
  const [code] = await once(child, "close");
  return { code, output: texts.stdout, errors: texts.stderr.trim().split("\n") };
}

trustTestCertificate();

describe("the container", () => {
  let data: string;

  beforeAll(async () => {
    data = await mkdtemp(join(tmpdir(), "bss-data-"));
  });

  afterAll(() => rm(data, { recursive: true }));

  test("by itself lets nobody in: it ends with 2, and says what to do", async () => {
    const container = new Container(data, { BSS_PORT: "0" });
    expect(await ended(container.run())).toEqual({
      code: 2,
      output: "",
      errors: [expect.any(String), expect.any(String)],
    });
  });

  test.each([
    ["a variable", { BSS_TLS: "true" }, []],
    ["a flag", {}, ["--tls"]],
    ["a configuration file", { BSS_CONFIG: "/data/config.json" }, []],
  ])("by itself with TLS by %s keeps its certificate where its keys are, and is healthy", async (_, tls, flags) => {
    await writeFile(join(data, "config.json"), '{ "tls": true }');
    const container = new Container(data, { BSS_PORT: String(await freePort()) }, tls as Record<string, string>);
    const relay = container.run("serve", "--open", ...flags);
    const closed = ended(relay);
    try {
      await once(relay.stdout!, "data");
      expect(existsSync(join(data, "browser-stream-server/development-cert.pem"))).toBe(true);
      expect(container.health()).toBe(0);
    } finally {
      relay.kill("SIGTERM");
    }
    expect((await closed).code).toBe(0);
    expect(container.health()).toBe(1);
  });

  describe("as compose.yaml starts it, behind its Caddy", () => {
    let container: Container;
    let relay: ChildProcess;
    let caddy: RunningProxy;

    beforeAll(async () => {
      const port = await freePort();
      container = new Container(data, composeEnvironment("127.0.0.1"), { BSS_PORT: String(port) });
      relay = container.run();
      await once(relay.stdout!, "data");
      relay.stdout!.resume();
      caddy = await startProxy({
        program: "caddy",
        scheme: "https",
        args: (folder) => ["run", "--config", join(folder, "Caddyfile"), "--adapter", "caddyfile"],
        files: (ownPort) => {
          const site = substitute(textOf("examples/deploy/Caddyfile"), {
            "{$RELAY_NAME:localhost} {": `https://127.0.0.1:${ownPort} {\ntls ${tlsFile("cert")} ${tlsFile("key")}`,
            "relay:8080": `127.0.0.1:${port}`,
          });
          return { Caddyfile: `{\nadmin off\nauto_https off\nlog {\nlevel ERROR\n}\n}\n${site}` };
        },
      });
    });

    afterAll(async () => {
      await caddy?.end();
      relay?.kill("SIGKILL");
    });

    test("is healthy, and lets in who has a token of its key, and nobody else", async () => {
      expect(container.health()).toBe(0);
      const rights = ["--listen", "room/*", "--connect", "room/*"];
      const minted = await ended(container.run("token", "--key", "/data/access.keys", ...rights));
      const token = minted.output.trim();
      const server = StreamServer(caddy.origin, { token }, (stream) => void stream.pipe(stream)).listen("room/1");
      await server.ready;
      const stream = StreamClient(caddy.origin, { token }).connect("room/1");
      stream.end("hello");
      const heard: unknown[] = [];
      for await (const message of stream) heard.push(message);
      expect(heard).toEqual(["hello"]);
      await expect(StreamClient(caddy.origin).connect("room/1").opened).rejects.toMatchObject({
        failure: Failure.NOT_PERMITTED,
      });
      await server.end();
    });

    test("serves its page by the name of the relay, and by no other", async () => {
      const page = await fetch(caddy.origin);
      expect([page.status, page.headers.get("content-type")]).toEqual([200, "text/html; charset=utf-8"]);
    });

    test("ends well on SIGTERM, and is then not healthy", async () => {
      const exited = once(relay, "exit");
      relay.kill("SIGTERM");
      expect(await exited).toEqual([0, null]);
      expect(container.health()).toBe(1);
    });
  });
});
