import { once } from "node:events";
import { mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { connect as connectHttp2 } from "node:http2";
import { connect as connectTcp, type Socket } from "node:net";
import { tmpdir } from "node:os";
import { dirname, join } from "node:path";
import { createInterface } from "node:readline";
import { create, toBinary } from "@bufbuild/protobuf";
import { createClient } from "@connectrpc/connect";
import { createConnectTransport } from "@connectrpc/connect-node";
import {
  Code,
  createWebSocketTransport,
  Failure,
  Hop,
  type Stream,
  StreamClient,
  StreamServer,
} from "browser-stream-server";
import { ConnectRequestSchema, RelayService } from "browser-stream-server/gen";
import { describe, expect, onTestFinished, test } from "vitest";
import { Health, HealthCheckResponse_ServingStatus as ServingStatus } from "../../../gen/grpc/health/v1/health_pb.js";
import { envelope } from "../../../leg/envelope.js";
import { Deferred } from "../../../stream/platform/deferred.js";
import { refusal, refused } from "../../integration/raw-calls.js";
import { RawLink } from "../../integration/raw-link.js";
import { CommandLine } from "../command-line.js";

const going = refusal(Code.Unavailable, Failure.DRAINING);
/** Servers and streams wait this long for a relay that does not come back. */
const graceMs = 2_000;
const lost = { failure: Failure.LEG_LOST, hop: Hop.RELAY };
const idleLinks = 50;

/** A relay as supervisors run it, whose log is read event by event. */
class LoggedRelay {
  readonly command: CommandLine;
  readonly #lines: AsyncIterator<string>;
  origin = "";

  constructor(drainTimeoutMs?: number) {
    const timeout = drainTimeoutMs === undefined ? [] : ["--drain-timeout-ms", String(drainTimeoutMs)];
    const config = join(mkdtempSync(join(tmpdir(), "leaving-")), "relay.json");
    onTestFinished(() => rmSync(dirname(config), { recursive: true }));
    writeFileSync(config, JSON.stringify({ limits: { graceMs } }));
    const args = ["--port", "0", "--host", "127.0.0.1", "--json", "--config", config, ...timeout];
    this.command = new CommandLine(["serve", ...args]);
    this.#lines = createInterface({ input: this.command.child.stdout })[Symbol.asyncIterator]();
  }

  static async start(drainTimeoutMs?: number): Promise<LoggedRelay> {
    const relay = new LoggedRelay(drainTimeoutMs);
    const { addresses } = (await relay.event("listening")) as { addresses: [string] };
    relay.origin = new URL(addresses[0]).origin;
    return relay;
  }

  get url(): string {
    return `${this.origin}/browser-server`;
  }

  /** Resolves with the next event of that name. */
  async event(name: string): Promise<Record<string, unknown>> {
    for (;;) {
      const { value, done } = await this.#lines.next();
      if (done) throw new Error(`the relay ended without ${name}`);
      const event = JSON.parse(value);
      if (event.event === name) return event;
    }
  }

  /** Sends a signal. Resolves, when the process has ended, with its exit code and how long that took. */
  async ends(signal: "SIGINT" | "SIGTERM"): Promise<{ code: number | null; tookMs: number }> {
    const sentAtMs = performance.now();
    this.command.child.kill(signal);
    const [code] = await once(this.command.child, "exit");
    return { code, tookMs: performance.now() - sentAtMs };
  }

  async status(path: string): Promise<number> {
    return (await fetch(this.origin + path, { headers: { connection: "close" } })).status;
  }

  /** A connection that a test writes by hand. */
  async socket(...text: string[]): Promise<Socket> {
    const socket = connectTcp(Number(new URL(this.origin).port), "127.0.0.1").on("error", () => {});
    onTestFinished(() => void socket.destroy());
    await once(socket, "connect");
    if (text.length > 0) socket.write(`${text.join("\r\n")}\r\n\r\n`);
    return socket;
  }
}

/** A name whose listener answers each message with the same one. */
async function echoServer(relay: LoggedRelay): Promise<StreamServer> {
  const server = StreamServer(relay.origin, (stream) => void stream.on("error", () => {}).pipe(stream)).listen("echo");
  server.on("error", () => {});
  onTestFinished(() => server.end());
  await server.ready;
  return server;
}

async function echoStream(relay: LoggedRelay): Promise<{ stream: Stream; says(text: string): Promise<void> }> {
  const stream = StreamClient(relay.origin).connect("echo");
  stream.on("error", () => {});
  const messages = stream[Symbol.asyncIterator]();
  const says = async (text: string) => {
    stream.write(text);
    expect((await messages.next()).value).toBe(text);
  };
  await says("hello");
  return { stream, says };
}

/** Peers that would keep a process from ending if it waited for them. */
async function quietPeers(relay: LoggedRelay): Promise<void> {
  const links = await Promise.all(Array.from({ length: idleLinks }, () => RawLink.open({ url: relay.url })));
  onTestFinished(() => {
    for (const { socket } of links) socket.terminate();
  });
  await relay.socket();
  const keptAlive = await relay.socket("GET /healthz HTTP/1.1", "Host: relay");
  await once(keptAlive, "data");
  const post = (method: string) => [
    `POST /browser-server/streamserver.v1.${method} HTTP/1.1`,
    "Host: relay",
    "Content-Type: application/connect+json",
  ];
  const pausedRequest = await relay.socket(...post("RelayService/Listen"), "Content-Length: 1000");
  pausedRequest.write("\0\0\0");
  const unread = await relay.socket(...post("LinkService/Receive"), "Content-Length: 7");
  unread.pause().write("\0\0\0\0\x02{}");
}

/** A client that reads nothing of a stream whose listener writes to it. */
async function deafClient(relay: LoggedRelay): Promise<void> {
  const session = connectHttp2(relay.origin, { settings: { initialWindowSize: 1_024 } }).on("error", () => {});
  onTestFinished(() => session.destroy());
  const call = session.request({
    ":method": "POST",
    ":path": "/browser-server/streamserver.v1.RelayService/Connect",
    "content-type": "application/connect+proto",
  });
  call.on("error", () => {});
  const open = create(ConnectRequestSchema, { message: { case: "open", value: { name: "full" } } });
  const written = new Deferred<void>();
  const server = StreamServer(relay.origin, (stream) => {
    stream.on("error", () => {});
    stream.write(new Uint8Array(1_048_576));
    written.resolve();
  }).listen("full");
  server.on("error", () => {});
  onTestFinished(() => server.end());
  await server.ready;
  call.write(envelope(0, toBinary(ConnectRequestSchema, open)));
  await Promise.all([written.promise, once(call, "response")]);
}

describe("bss serve, told to end", () => {
  test.each(["SIGTERM", "SIGINT"] as const)(
    "by %s: exits with 0 long before the drain timeout if nobody has a stream, however many peers are quiet",
    async (signal) => {
      const relay = await LoggedRelay.start();
      await echoServer(relay);
      await quietPeers(relay);
      const { code, tookMs } = await relay.ends(signal);
      expect(code).toBe(0);
      // The timeout is 10 s, and a command that does not end by itself is ended after 3 s.
      expect(tookMs).toBeLessThan(3_000);
    },
  );

  test("exits with 0 at the drain timeout, however many peers are quiet, and whether a client reads or not", async () => {
    const drainTimeoutMs = 1_000;
    const relay = await LoggedRelay.start(drainTimeoutMs);
    await echoServer(relay);
    const { stream } = await echoStream(relay);
    await quietPeers(relay);
    await deafClient(relay);
    const ended = relay.ends("SIGTERM");
    expect(await relay.event("draining")).toMatchObject({ streams: 2, timeoutMs: drainTimeoutMs });
    await expect(stream.closed).rejects.toMatchObject(lost);
    const { code, tookMs } = await ended;
    expect(code).toBe(0);
    expect(tookMs).toBeGreaterThanOrEqual(drainTimeoutMs);
    expect(tookMs).toBeLessThan(drainTimeoutMs + 3_000);
  });

  test("is alive and not ready at once, takes nothing new, and ends when the last stream has ended well", async () => {
    const relay = await LoggedRelay.start(600_000);
    const server = await echoServer(relay);
    const { stream, says } = await echoStream(relay);
    const transport = createConnectTransport({
      baseUrl: relay.url,
      httpVersion: "1.1",
      nodeOptions: { agent: false },
    });
    const [client, health] = [createClient(RelayService, transport), createClient(Health, transport)];
    const watch = health.watch({})[Symbol.asyncIterator]();
    const status = async () => (await watch.next()).value?.status;
    expect([await relay.status("/healthz"), await relay.status("/readyz")]).toEqual([200, 200]);
    expect(await status()).toBe(ServingStatus.SERVING);
    const ended = relay.ends("SIGTERM");
    // A signal that comes with the first is the same Ctrl-C, which npm passes on to what it has started.
    relay.command.child.kill("SIGINT");
    expect(await status()).toBe(ServingStatus.NOT_SERVING);
    expect(await health.check({})).toMatchObject({ status: ServingStatus.NOT_SERVING });
    expect([await relay.status("/healthz"), await relay.status("/readyz")]).toEqual([200, 503]);
    expect(await refused(client.listen({ name: "new" }))).toEqual(going);
    await expect(StreamClient(relay.origin).connect("echo").closed).rejects.toMatchObject(going);
    const link = createWebSocketTransport({ baseUrl: relay.url });
    expect(await refused(createClient(RelayService, link).list({}))).toEqual(going);
    await says("still here");
    stream.end();
    await stream.closed;
    expect((await ended).code).toBe(0);
    await expect(server.closed).rejects.toMatchObject(lost);
  });

  test("a second time, ends its streams at once, of the 10 s that they have, and exits with 0", async () => {
    const relay = await LoggedRelay.start();
    await echoServer(relay);
    const { stream } = await echoStream(relay);
    const ended = relay.ends("SIGINT");
    expect(await relay.event("draining")).toMatchObject({ streams: 1, timeoutMs: 10_000 });
    // The relay takes a signal of the next 200 ms for the first one.
    const repeat = setInterval(() => relay.command.child.kill("SIGINT"), 300);
    onTestFinished(() => clearInterval(repeat));
    await expect(stream.closed).rejects.toMatchObject(lost);
    // Node no longer handles a signal that comes while the process exits.
    clearInterval(repeat);
    const { code, tookMs } = await ended;
    expect(code).toBe(0);
    expect(tookMs).toBeLessThan(5_000);
  });
});
