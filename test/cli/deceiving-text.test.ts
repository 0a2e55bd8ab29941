import { once } from "node:events";
import { mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { connect as connectTcp } from "node:net";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { type Client, createClient, type Interceptor } from "@connectrpc/connect";
import { createConnectTransport } from "@connectrpc/connect-node";
import { StreamClient, StreamError, StreamServer } from "browser-stream-server";
import { AdminService, RelayService } from "browser-stream-server/gen";
import { mintToken, type StreamRights } from "browser-stream-server/server";
import { describe, expect, onTestFinished, test } from "vitest";
import { until } from "../integration/until.js";
import { CommandLine } from "./command-line.js";

/** Characters that move, hide or end other text on a terminal, or take its window. */
const moving = /[\p{Cc}\p{Zl}\p{Zp}\u061c\u200b\u200e\u200f\u202a-\u202e\u2066-\u2069\ufeff]/u;
/** Text that pretends to be a line of its own. */
const forged = "forged: a line";
/** The longest line: a few facts of 256 characters each, with each character as its number. */
const maxLineChars = 8_192;

/** Texts of somebody who wants a reader to see something that is not there, and to miss something that is. */
const texts: Readonly<Record<string, string>> = {
  "control characters": `a\u0000\u0007\u001b[2J\u001b]0;title\u0007\r\n${forged}\r${forged}\n\u009b31m\u2028${forged}`,
  "bidi overrides": `invoice\u202efdp.exe\u2066\u061c\u200b\ufeff`,
  homoglyphs: "\u0430dmin\u2024g\u043e\u043egle",
  "64 KiB of emoji": "👩‍👩‍👧🏴‍☠️".repeat(2_080),
};

/** The part of a text that fits into so many bytes. */
function within(text: string, maxBytes: number): string {
  let cut = text;
  while (Buffer.byteLength(cut) > maxBytes) cut = [...cut].slice(0, Math.floor([...cut].length / 2)).join("");
  return cut;
}

/** The operator's relay, and what it has printed. */
interface ShownRelay {
  origin: string;
  metricsAddress: string;
  secret: string;
  printed: string[];
}

/** Starts a relay with operators and metrics, which logs for people or for programs. */
async function openRelay(...args: string[]): Promise<ShownRelay> {
  const folder = mkdtempSync(join(tmpdir(), "bss-"));
  onTestFinished(() => rmSync(folder, { recursive: true }));
  const secret = Buffer.alloc(32, 1).toString("base64url");
  const file = join(folder, "secret");
  writeFileSync(file, `${secret}\n`, { mode: 0o600 });
  const serve = ["serve", "--port", "0", "--host", "127.0.0.1", "--secret-file", file, "--admin", "--metrics", "0"];
  const relay = new CommandLine([...serve, ...args]);
  const printed: string[] = [];
  relay.child.stdout.setEncoding("utf8").on("data", (text: string) => printed.push(text));
  relay.child.stderr.setEncoding("utf8").on("data", (text: string) => printed.push(text));
  const address = (pattern: RegExp) => pattern.exec(printed.join(""))?.[0] ?? "";
  await until(() => address(/http:\/\/127\.0\.0\.1:\d+\/metrics/) !== "");
  await until(() => address(/http:\/\/127\.0\.0\.1:\d+(?!\d|\/metrics)/) !== "");
  return {
    origin: address(/http:\/\/127\.0\.0\.1:\d+(?!\d|\/metrics)/),
    metricsAddress: address(/http:\/\/127\.0\.0\.1:\d+\/metrics/),
    secret,
    printed,
  };
}

/** Sends a request of HTTP/1.1 whose bytes are those of the text, and resolves when it is answered. */
async function sendRaw(origin: string, head: readonly string[]): Promise<void> {
  const socket = connectTcp(Number(new URL(origin).port), "127.0.0.1").on("error", () => {});
  socket.end(Buffer.from(`${head.join("\r\n")}\r\n\r\n`));
  socket.resume();
  await once(socket, "close");
}

/** The fields of requests. A header ends at a line break. */
async function sayInHeads({ origin }: ShownRelay, text: string): Promise<void> {
  const value = within(text.replace(/[\0\r\n]/g, ""), 12_000);
  const path = "/browser-server/streamserver.v1.RelayService/List";
  const upgrade = ["Connection: Upgrade", "Upgrade: websocket", "Sec-WebSocket-Version: 13"];
  const socketPath = "/browser-server/streamserver.v1.LinkService/WebSocket";
  const heads = [
    [`POST ${path} HTTP/1.1`, "Host: 127.0.0.1", `Origin: http://${value}`],
    [
      `POST ${path} HTTP/1.1`,
      "Host: 127.0.0.1",
      `User-Agent: ${value}`,
      `error-id: ${value}`,
      `X-Forwarded-For: ${value}`,
    ],
    [`OPTIONS ${path} HTTP/1.1`, "Host: 127.0.0.1", `Origin: ${value}`, "Access-Control-Request-Method: POST"],
    [`GET ${path} HTTP/1.1`, `Host: ${value}`],
    [`POST /browser-server/streamserver.v1.${value.replaceAll(" ", "")} HTTP/1.1`, "Host: 127.0.0.1"],
    [`GET ${socketPath} HTTP/1.1`, "Host: 127.0.0.1", ...upgrade, `Sec-WebSocket-Key: ${value}`, `Origin: ${value}`],
    [`GET ${socketPath} HTTP/1.1`, "Host: 127.0.0.1", ...upgrade, `Sec-WebSocket-Protocol: ${value}`],
  ];
  for (const head of heads) await sendRaw(origin, [...head, "Content-Length: 0", "Connection: close"]);
}

/** The fields of messages of RPCs, most of which are refused. */
async function sayInMessages(
  relay: Client<typeof RelayService>,
  admin: Client<typeof AdminService>,
  text: string,
): Promise<StreamError[]> {
  const calls: (() => Promise<unknown>)[] = [
    () => relay.list({ prefix: text, pageToken: text }),
    () => relay.unlisten({ leaseId: text, leaseToken: text }),
    () => relay.reject({ streamId: text, legToken: text, reason: text, code: 10 }),
    () => relay.renew({ streamId: text, legToken: text, accessToken: text }),
    () => relay.renew({ leaseId: text, leaseToken: text, accessToken: text }),
    async () => {
      for await (const _ of relay.listen({ name: text, leaseId: text, ownerKey: text, accessToken: text }));
    },
    async () => {
      async function* requests() {
        const value = { name: text, streamId: text, legToken: text, metadata: { [text]: text } };
        yield { message: { case: "open" as const, value } };
      }
      for await (const _ of relay.connect(requests()));
    },
    () => admin.show({ namePrefix: text }),
    () => admin.endStream({ streamId: text, reason: text }),
    () => admin.endLease({ leaseId: text, reason: text }),
    () => admin.revoke({ jti: `not ${text}` }),
  ];
  const errors: StreamError[] = [];
  for (const call of calls) await call().catch((reason) => errors.push(StreamError.from(reason)));
  return errors;
}

function expectHarmless(place: string, output: string): void {
  for (const line of output.split("\n")) {
    expect(moving.exec(line)?.[0], `${place}: ${JSON.stringify(line.slice(0, 2_000))}`).toBeUndefined();
    expect(line.length, place).toBeLessThan(maxLineChars);
    expect(line.trimStart().startsWith(forged), `${place}: ${line}`).toBe(false);
  }
}

/** A client of a service of the relay, with an access token. */
function clientOf<S extends typeof RelayService | typeof AdminService>(service: S, origin: string, token: string) {
  const withToken: Interceptor = (next) => (request) => {
    request.header.set("authorization", `Bearer ${token}`);
    return next(request);
  };
  const baseUrl = `${origin}/browser-server`;
  return createClient(service, createConnectTransport({ baseUrl, httpVersion: "2", interceptors: [withToken] }));
}

/** Rights to all names, for somebody whose facts are the text. */
function tokenOf({ secret }: ShownRelay, text: string): Promise<string> {
  const fact = within(text, 1_500);
  const streams: StreamRights = { "**": ["listen", "connect", "list"] };
  return mintToken({ secret, streams, subject: fact, name: fact, meta: { key: fact }, tokenId: fact });
}

/** Has a listener and a client whose names, facts and words are the text, and errors whose words are. */
async function sayOnStreams({ origin }: ShownRelay, text: string, token: string): Promise<StreamServer> {
  const server = StreamServer(origin, { token, listed: true }, (stream) => void stream.destroy(new StreamError(text)));
  const listening = server.listen(within(text, 200));
  await listening.ready;
  const metadata = { [within(text, 500)]: within(text, 1_500) };
  const stream = StreamClient(origin, { token }).connect(within(text, 200), { metadata });
  const error = await new Promise<Error>((resolve) => stream.on("error", resolve));
  expectCapped(error);
  return listening;
}

/** The words of an error are at most 1,024 bytes of a stranger's, with the relay's own around them. */
function expectCapped({ message }: Error): void {
  expect(Buffer.byteLength(message)).toBeLessThanOrEqual(2_048);
}

/** Says the text in every field. The names stay listened on. */
async function sayEverywhere(relay: ShownRelay, text: string): Promise<StreamServer> {
  const [token, operator] = await Promise.all([tokenOf(relay, text), operatorTokenOf(relay)]);
  const listening = await sayOnStreams(relay, text, token);
  await sayInHeads(relay, text);
  const clients = [
    clientOf(RelayService, relay.origin, token),
    clientOf(AdminService, relay.origin, operator),
  ] as const;
  for (const error of await sayInMessages(...clients, text)) expectCapped(error);
  return listening;
}

function operatorTokenOf({ secret }: ShownRelay): Promise<string> {
  return mintToken({ secret, admin: true, streams: { "**": ["list"] } });
}

/** What a command prints, on both outputs. */
async function printedBy(args: string[], { origin }: ShownRelay, token: string): Promise<string> {
  const { output, errorLines } = await new CommandLine([...args, "--relay", origin], { BSS_TOKEN: token }).run();
  return [output, ...errorLines].join("\n");
}

describe("text of strangers", () => {
  test("reaches the log, the metrics, bss ls and bss top as what it is", async () => {
    const relay = await openRelay();
    const listening = [];
    for (const text of Object.values(texts)) listening.push(await sayEverywhere(relay, text));
    const [token, operator] = await Promise.all([tokenOf(relay, "ann"), operatorTokenOf(relay)]);
    const [names, top] = [await printedBy(["ls"], relay, token), await printedBy(["top"], relay, operator)];
    expectHarmless("bss ls", names);
    expect(names.trim().split("\n")).toHaveLength(Object.keys(texts).length);
    expectHarmless("bss top", top);
    expect(top).toContain("LEASE_GONE");
    expectHarmless("metrics", await (await fetch(relay.metricsAddress)).text());
    for (const server of listening) await server.end();
    await until(() => relay.printed.join("").split("released:").length > Object.keys(texts).length);
    expectHarmless("log", relay.printed.join(""));
  });

  test("reaches the log for programs as lines of JSON, each of its own", async () => {
    const relay = await openRelay("--json");
    for (const text of Object.values(texts)) await (await sayEverywhere(relay, text)).end();
    await until(() => relay.printed.join("").split('"name.released"').length > Object.keys(texts).length);
    const lines = relay.printed.join("").trimEnd().split("\n");
    expectHarmless("log", lines.join("\n"));
    for (const line of lines) expect(JSON.parse(line)).toMatchObject({ event: expect.stringMatching(/^[a-z.]+$/) });
  });

  test("reaches the terminals of bss connect and bss listen as what it is", async () => {
    const relay = await openRelay();
    for (const text of Object.values(texts)) {
      const token = await tokenOf(relay, text);
      // No argument of a command has a NUL.
      const name = within(text, 200).replaceAll("\0", "");
      const server = StreamServer(relay.origin, { token }, (stream) => void stream.destroy(new StreamError(text)));
      await server.listen(name).ready;
      expectHarmless("bss connect", await printedBy(["connect", name], relay, token));
      await server.end();
      const listen = new CommandLine(["listen", name, "--relay", relay.origin], { BSS_TOKEN: token });
      await listen.hasSaid();
      const stream = StreamClient(relay.origin, { token }).connect(name);
      stream.on("error", () => {});
      await stream.opened;
      stream.destroy(new StreamError(text));
      listen.child.stdout.resume();
      expect(await listen.exitCode).not.toBe(0);
      expectHarmless("bss listen", listen.errorLines.join("\n"));
    }
  });
});
