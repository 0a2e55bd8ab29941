import { X509Certificate } from "node:crypto";
import { once } from "node:events";
import { mkdtemp, rename, rm, writeFile } from "node:fs/promises";
import { get } from "node:https";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { createInterface } from "node:readline";
import { connect, getCACertificates, setDefaultCACertificates } from "node:tls";
import { StreamClient, StreamServer } from "browser-stream-server";
import { describe, expect, onTestFinished, test } from "vitest";
import { makeCertificate } from "../../../cli/serve/self-signed-certificate.js";
import { CommandLine } from "../command-line.js";

interface Event {
  event: string;
  sha256: string;
  file: string;
  addresses: string[];
}

async function temporaryFolder(): Promise<string> {
  const folder = await mkdtemp(join(tmpdir(), "bss-"));
  onTestFinished(() => rm(folder, { recursive: true }));
  return folder;
}

/** Starts a relay that logs JSON. Returns its port and its events, and ends it with its test. */
async function serve(args: string[], environment: Record<string, string> = {}) {
  const relay = new CommandLine(["serve", "--port", "0", "--json", ...args], environment);
  const lines = createInterface({ input: relay.child.stdout })[Symbol.asyncIterator]();
  const next = async () => JSON.parse((await lines.next()).value ?? "{}") as Event;
  /** Resolves with the next event of a kind; others are passed over. */
  const event = async (kind: string) => {
    for (;;) {
      const found = await next();
      if (found.event === undefined) throw new Error(`the relay ended before ${kind}`);
      if (found.event === kind) return found;
    }
  };
  const { port } = new URL((await next()).addresses[0] ?? "");
  return { port: Number(port), next, event };
}

/** Resolves with the fingerprint of the certificate that a new connection is shown. */
async function shownAt(port: number): Promise<string> {
  const socket = connect({ port, host: "127.0.0.1", rejectUnauthorized: false });
  await once(socket, "secureConnect");
  const { fingerprint256 } = socket.getPeerCertificate();
  socket.destroy();
  return fingerprint256;
}

/** Has this process trust certificates until the test ends. */
function trust(...certificates: string[]): void {
  const before = getCACertificates("default");
  setDefaultCACertificates([...before, ...certificates]);
  onTestFinished(() => setDefaultCACertificates(before));
}

describe("bss serve --tls", () => {
  test("makes a certificate, prints its fingerprint, and keeps it", async () => {
    const environment = { XDG_DATA_HOME: await temporaryFolder() };
    const first = await serve(["--tls"], environment);
    const created = await first.event("certificate.created");
    const { sha256 } = await first.event("certificate.used");
    expect(await shownAt(first.port)).toBe(sha256);
    for (const host of ["localhost", "127.0.0.1"]) {
      const args = ["ls", "--relay", `https://${host}:${first.port}`];
      const trusting = await new CommandLine(args, { NODE_EXTRA_CA_CERTS: created.file }).run();
      expect(trusting).toEqual({ code: 0, output: "", errorLines: [] });
    }
    const second = await serve([], { ...environment, BSS_TLS: "1" });
    expect(await second.next()).toMatchObject({ event: "certificate.used", sha256 });
  });

  test("needs a folder to keep the certificate: exit code 2, and two lines", async () => {
    const folder = await temporaryFolder();
    await writeFile(join(folder, "file"), "");
    const relay = new CommandLine(["serve", "--port", "0", "--tls"], { XDG_DATA_HOME: join(folder, "file") });
    expect(await relay.run()).toMatchObject({ code: 2, errorLines: [expect.any(String), expect.any(String)] });
  });
});

describe("bss serve --tls-cert --tls-key", () => {
  test("serve pages by the names of the certificate", async () => {
    const file = join(await temporaryFolder(), "relay.pem");
    await writeFile(file, await makeCertificate(["relay.example"]));
    const { port } = await serve(["--tls-cert", file, "--tls-key", file]);
    const statusBy = async (host: string) => {
      const [response] = await once(
        get({ port, host: "127.0.0.1", rejectUnauthorized: false, headers: { host } }),
        "response",
      );
      response.resume();
      return response.statusCode;
    };
    expect([await statusBy("relay.example"), await statusBy("localhost")]).toEqual([200, 200]);
    expect(await statusBy("rebound.example")).toBe(403);
  });

  test("read the files again when they change, and no connection is lost", async () => {
    const folder = await temporaryFolder();
    const pems = [await makeCertificate(["127.0.0.1"]), await makeCertificate(["127.0.0.1"])];
    const [before = "", after = ""] = pems.map((pem) => new X509Certificate(pem).fingerprint256);
    const file = join(folder, "relay.pem");
    const replace = async (text: string) => {
      await writeFile(`${file}.new`, text);
      await rename(`${file}.new`, file);
    };
    await replace(pems[0] ?? "");
    trust(...pems);
    const relay = await serve(["--host", "127.0.0.1", "--tls-cert", file, "--tls-key", file]);
    const origin = `https://127.0.0.1:${relay.port}`;
    expect([(await relay.event("certificate.used")).sha256, await shownAt(relay.port)]).toEqual([before, before]);
    const server = StreamServer(origin, (stream) => void stream.pipe(stream)).listen("echo");
    await server.ready;
    const stream = StreamClient(origin).connect("echo");
    let suspended = 0;
    stream.on("suspended", () => {
      suspended += 1;
    });
    const answers = stream[Symbol.asyncIterator]();
    const echoes = async (text: string) => {
      stream.write(text);
      expect((await answers.next()).value).toBe(text);
    };
    await echoes("before");

    await replace(pems[1] ?? "");
    expect((await relay.event("certificate.used")).sha256).toBe(after);
    expect(await shownAt(relay.port)).toBe(after);
    await echoes("after");

    await replace("no certificate");
    await relay.event("certificate.refused");
    expect(await shownAt(relay.port)).toBe(after);
    await echoes("still");
    expect([suspended, server.state]).toEqual([0, "listening"]);
    stream.end();
    expect((await answers.next()).done).toBe(true);
    await server.end();
  });
});
