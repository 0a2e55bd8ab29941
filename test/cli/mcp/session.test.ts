import { once } from "node:events";
import { createInterface } from "node:readline";
import { Code, type Stream, StreamServer } from "browser-stream-server";
import { serve } from "browser-stream-server/http";
import { mintToken, tokenPolicy } from "browser-stream-server/server";
import { expect, onTestFinished, test } from "vitest";
import { Deferred } from "../../../stream/platform/deferred.js";
import { accessSecret as secret } from "../../fakes/access-keys.js";
import { openRelay } from "../../integration/relay-ports.js";
import { startRelay } from "../../relay-process.js";
import type { CommandLine } from "../command-line.js";
import { useFileRelay } from "../file-relay.js";

const relay = useFileRelay({ graceMs: 1_000 });

interface Message {
  id?: number | string;
  method?: string;
  params?: object;
  result?: object;
  error?: { code: number; message: string; data: object };
}

/** The command, with the messages that it prints. Anything else on standard output fails the test. */
class Bridge {
  readonly #command: CommandLine;
  readonly #lines: AsyncIterator<string>;

  constructor(...args: string[]) {
    this.#command = relay.command("mcp", ...args);
    this.#lines = createInterface({ input: this.#command.child.stdout })[Symbol.asyncIterator]();
  }

  get command(): CommandLine {
    return this.#command;
  }

  say(...lines: (Message | string)[]): void {
    for (const line of lines) {
      const text = typeof line === "string" ? line : JSON.stringify({ jsonrpc: "2.0", ...line });
      this.#command.child.stdin.write(`${text}\n`);
    }
  }

  async line(): Promise<string | undefined> {
    const { done, value } = await this.#lines.next();
    return done ? undefined : value;
  }

  async message(): Promise<Message> {
    return JSON.parse((await this.line()) ?? "null") as Message;
  }

  /** Ends the input. Resolves with what is printed then, and with the exit code. */
  async end(): Promise<{ code: number | null; messages: Message[] }> {
    this.#command.child.stdin.end();
    return this.ended();
  }

  async ended(): Promise<{ code: number | null; messages: Message[] }> {
    const messages: Message[] = [];
    for (let line = await this.line(); line !== undefined; line = await this.line()) messages.push(JSON.parse(line));
    return { code: await this.#command.exitCode, messages };
  }
}

/** A page whose streams the test answers by hand: the listener, and each stream that it is offered. */
async function openPage(name: string) {
  const offered: Stream[] = [];
  let onOffer = () => {};
  const server = StreamServer(relay.origin, (stream) => {
    stream.on("error", () => {});
    stream.on("end", () => stream.end());
    offered.push(stream);
    onOffer();
  }).listen(name);
  onTestFinished(() => server.end());
  await server.ready;
  return {
    server,
    async stream(): Promise<Stream> {
      while (offered.length === 0) {
        await new Promise<void>((resolve) => {
          onOffer = resolve;
        });
      }
      return offered.shift()!;
    },
  };
}

async function next(stream: Stream): Promise<Message> {
  const data = await new Promise<unknown>((resolve) => {
    stream.once("data", (message) => {
      stream.pause();
      resolve(message);
    });
  });
  return JSON.parse(String(data)) as Message;
}

const reply = (id: Message["id"], result: object): string => JSON.stringify({ jsonrpc: "2.0", id, result });
const initialize = { id: 0, method: "initialize", params: { capabilities: {} } };
const initialized = { method: "notifications/initialized" };
const capabilities = { tools: {}, resources: { subscribe: true } };

test("bss mcp passes on the text of messages, and nothing that is none", async () => {
  const page = await openPage("text");
  const bridge = new Bridge("text");
  bridge.say("no JSON", "[]", "", '{"jsonrpc": "2.0", "id": 1, "method": "x", "params": [12345678901234567890, 1.0]}');
  const stream = await page.stream();
  const [text] = (await once(stream as never, "data")) as [string];
  expect(text).toBe('{"jsonrpc": "2.0", "id": 1, "method": "x", "params": [12345678901234567890, 1.0]}');
  stream.write("no JSON either");
  stream.write(new Uint8Array([1]));
  stream.write('{"jsonrpc":"2.0","id":7,"result":{}}');
  stream.write('{ "jsonrpc": "2.0",\r\n "id": 1,\n "result": [12345678901234567890] }');
  expect(await bridge.line()).toBe('{ "jsonrpc": "2.0",  "id": 1,  "result": [12345678901234567890] }');
  expect(await bridge.end()).toEqual({ code: 0, messages: [] });
});

test("bss mcp waits for the responses when its input has ended", async () => {
  const page = await openPage("last");
  const bridge = new Bridge("last");
  bridge.say({ id: "a", method: "x" });
  const ended = bridge.end();
  const stream = await page.stream();
  expect((await next(stream)).id).toBe("a");
  stream.resume().write(reply("a", {}));
  expect(await ended).toMatchObject({ code: 0, messages: [{ id: "a", result: {} }] });
  await stream.closed;
  // Nothing is said of a tab that has gone because the client has.
  expect(bridge.command.errorLines).toHaveLength(1);
});

test("bss mcp answers a request that is too large for the tab", async () => {
  const page = await openPage("large");
  const bridge = new Bridge("large");
  const params = { text: "x".repeat(17_000_000) };
  bridge.say({ id: 1, method: "x", params }, { id: 2, method: "y" });
  expect((await next(await page.stream())).id).toBe(2);
  expect(await bridge.message()).toMatchObject({
    id: 1,
    error: { data: { failure: "FAILURE_MESSAGE_TOO_LARGE", code: "resource_exhausted", sent: false } },
  });
});

test("bss mcp has at most 1,000 requests that are not answered", async () => {
  const page = await openPage("many");
  const bridge = new Bridge("many");
  const stream = await page.stream();
  await bridge.command.hasSaid();
  bridge.say(...Array.from({ length: 1_001 }, (_, id) => ({ id, method: "x" })));
  expect(await bridge.message()).toMatchObject({
    id: 1_000,
    error: { data: { failure: "FAILURE_LIMIT_REACHED", hop: "HOP_CALLER", sent: false } },
  });
  stream.destroy();
});

test("bss mcp ends with 3, and an answer to what has waited, where no tab comes in time", async () => {
  const bridge = new Bridge("nobody", "--wait-ms", "300");
  bridge.say(initialize);
  expect(await bridge.end()).toMatchObject({
    code: 3,
    messages: [{ id: 0, error: { code: -32_000, data: { failure: "FAILURE_NO_SUCH_NAME", sent: false } } }],
  });
});

test("bss mcp ends with 5 where the tab declines", async () => {
  const server = StreamServer(relay.origin, (stream) => stream.reject(Code.PermissionDenied, "no")).listen("declines");
  onTestFinished(() => server.end());
  await server.ready;
  const bridge = new Bridge("declines");
  bridge.say(initialize);
  expect(await bridge.ended()).toMatchObject({
    code: 5,
    messages: [{ id: 0, error: { data: { failure: "FAILURE_DECLINED", code: "permission_denied" } } }],
  });
});

test("bss mcp shows its access token, and ends with 9 where it is not good", async () => {
  const mint = (subject: string, names: string) =>
    mintToken({ secret, subject, streams: { [names]: ["listen", "connect"] } });
  const guarded = await openRelay({ authorize: tokenPolicy({ secret }) });
  onTestFinished(() => guarded.close());
  const callers: unknown[] = [];
  const server = StreamServer(guarded.origin, { token: await mint("tab", "guarded") }, (stream) => {
    callers.push(stream.caller?.subject);
    stream.on("end", () => stream.end()).resume();
  }).listen("guarded");
  onTestFinished(() => server.end());
  await server.ready;
  const bridge = new Bridge("guarded", "--relay", guarded.origin, "--token", await mint("ann", "guarded"));
  await bridge.command.hasSaid();
  expect(await bridge.end()).toEqual({ code: 0, messages: [] });
  expect(callers).toEqual(["ann"]);
  const stranger = new Bridge("guarded", "--relay", guarded.origin, "--token", await mint("bob", "others"));
  expect((await stranger.ended()).code).toBe(9);
});

test("bss mcp ends with 130 when it is interrupted, and the tab hears of it", async () => {
  const page = await openPage("interrupted");
  const bridge = new Bridge("interrupted");
  const stream = await page.stream();
  await bridge.command.hasSaid();
  bridge.command.child.kill("SIGINT");
  await expect(stream.closed).rejects.toMatchObject({ code: Code.Canceled });
  expect(await bridge.ended()).toEqual({ code: 130, messages: [] });
});

test("bss mcp ends with 141 when nobody reads its output", async () => {
  const page = await openPage("unread");
  const bridge = new Bridge("unread");
  const stream = await page.stream();
  bridge.command.child.stdout.destroy();
  stream.write('{"jsonrpc":"2.0","method":"x"}');
  expect(await bridge.command.exitCode).toBe(141);
});

test("bss mcp initializes a tab that came back as the one before, and says what has changed", async () => {
  const page = await openPage("again");
  const bridge = new Bridge("again");
  bridge.say(initialize);
  const first = await page.stream();
  // The first one goes before it has answered, and the client need not know.
  expect(await next(first)).toMatchObject(initialize);
  first.destroy();
  const second = await page.stream();
  expect(await next(second)).toMatchObject(initialize);
  second.write(reply(0, { capabilities, protocolVersion: "2025-06-18" }));
  expect((await bridge.message()).result).toEqual({
    capabilities: { tools: { listChanged: true }, resources: { subscribe: true, listChanged: true } },
    protocolVersion: "2025-06-18",
  });
  bridge.say(initialized, { id: 1, method: "tools/call" });
  expect(await next(second)).toMatchObject(initialized);
  expect(await next(second)).toMatchObject({ id: 1 });
  second.write('{"jsonrpc":"2.0","id":9,"method":"roots/list"}');
  expect(await bridge.message()).toMatchObject({ id: 9, method: "roots/list" });
  second.destroy();
  expect(await bridge.message()).toMatchObject({ id: 1, error: { code: -32_000, data: { sent: true } } });
  expect(await bridge.message()).toMatchObject({ method: "notifications/cancelled", params: { requestId: 9 } });
  const third = await page.stream();
  const greeting = await next(third);
  expect(greeting).toMatchObject({ method: "initialize", params: initialize.params });
  // What comes meanwhile waits until the tab is initialized; a response to the tab that has gone is for nobody.
  bridge.say({ id: 9, result: {} }, { id: 2, method: "tools/list" });
  third.write(reply(greeting.id, { capabilities }));
  expect(await next(third)).toMatchObject(initialized);
  expect(await next(third)).toMatchObject({ id: 2, method: "tools/list" });
  const changes = [await bridge.message(), await bridge.message()];
  expect(changes.map(({ method }) => method)).toEqual([
    "notifications/tools/list_changed",
    "notifications/resources/list_changed",
  ]);
  third.resume().write(reply(2, {}));
  expect(await bridge.end()).toMatchObject({ code: 0, messages: [{ id: 2 }] });
});

test("bss mcp answers requests for a tab that stays away, and goes on waiting for it", async () => {
  const page = await openPage("away");
  const bridge = new Bridge("away", "--wait-ms", "300");
  const stream = await page.stream();
  await page.server.end();
  // The command ends its direction as well.
  await stream.end().closed;
  // It has said that the tab is there, and then that it is away.
  await bridge.command.hasSaid(2);
  bridge.say({ id: 1, method: "x" });
  expect(await bridge.message()).toMatchObject({
    id: 1,
    error: { data: { failure: "FAILURE_NO_SUCH_NAME", sent: false } },
  });
  const again = await openPage("away");
  bridge.say({ id: 2, method: "x" });
  const returned = await again.stream();
  expect(await next(returned)).toMatchObject({ id: 2 });
  returned.write(reply(2, {}));
  expect(await bridge.message()).toMatchObject({ id: 2, result: {} });
});

test("bss mcp sends again what a relay that was restarted has not passed on", async () => {
  const first = await startRelay("--host", "127.0.0.1");
  const bridge = new Bridge("relay", "--relay", first.origin);
  const opened = StreamServer(first.origin, (stream) => void stream.on("error", () => {})).listen("relay");
  await bridge.command.hasSaid();
  await opened.end();
  await first.stop();
  await bridge.command.hasSaid(2);
  bridge.say({ id: 1, method: "x" });
  const second = await startRelay("--host", "127.0.0.1", "--port", new URL(first.origin).port);
  onTestFinished(async () => void (await second.stop()));
  const server = StreamServer(second.origin, (stream) => {
    stream.on("end", () => stream.end());
    stream.on("data", (text) => stream.write(reply((JSON.parse(String(text)) as Message).id, {})));
  }).listen("relay");
  onTestFinished(() => server.end());
  expect(await bridge.message()).toMatchObject({ id: 1, result: {} });
  expect(await bridge.end()).toEqual({ code: 0, messages: [] });
});

test.each([
  ["405", 405],
  // A tab with a route for POST alone.
  ["404", 404],
])(
  "bss mcp answers for a tab of HTTP that fails, and begins anew where the session is forgotten; GET: %s",
  async (_, got) => {
    let sessions = 0;
    const seen: (string | undefined)[] = [];
    const streamsOver: Promise<unknown>[] = [];
    const accept = (_: unknown, { closed }: { closed: Promise<unknown> }) => {
      streamsOver.push(closed.catch(() => {}));
      return true;
    };
    const json = { "content-type": "application/json; charset=utf-8" };
    const server = serve(
      relay.origin,
      "http",
      async (request) => {
        if (request.method === "DELETE") seen.push(`DELETE ${request.headers.get("mcp-session-id")}`);
        if (request.method !== "POST") return new Response(null, { status: got });
        const { id, method } = (await request.json()) as Message;
        seen.push(`${new URL(request.url).pathname} ${method} ${request.headers.get("mcp-session-id") ?? "none"}`);
        if (method === "initialize") {
          sessions += 1;
          const headers = { "mcp-session-id": `s${sessions}`, ...json };
          return new Response(reply(id, { capabilities, protocolVersion: "2025-06-18" }), { headers });
        }
        if (method === "fail") return new Response(null, { status: 500 });
        if (method === "forget") return new Response(null, { status: 404 });
        if (method === "nothing") return new Response(null, { status: 202 });
        if (id === undefined) return new Response(null, { status: 202 });
        if (method === "array") return new Response(`[${reply("early", {})}, ${reply(id, {})}]`, { headers: json });
        const type = request.headers.get("mcp-protocol-version");
        return new Response(`event: ping\ndata: x\n\nid: 1\ndata:\n\ndata: ${reply(id, { type })}\n\n`, {
          headers: { "content-type": "text/event-stream" },
        });
      },
      { accept },
    );
    onTestFinished(() => server.end());
    await server.ready;
    const bridge = new Bridge("http", "--path", "/tools/mcp");
    bridge.say(initialize);
    expect((await bridge.message()).id).toBe(0);
    bridge.say(initialized, { id: 1, method: "x" });
    expect(await bridge.message()).toMatchObject({ id: 1, result: { type: "2025-06-18" } });
    bridge.say({ id: "array", method: "array" });
    expect(await bridge.message()).toMatchObject({ id: "array", result: {} });
    for (const method of ["fail", "nothing", "forget"]) {
      bridge.say({ id: method, method });
      expect(await bridge.message()).toMatchObject({ id: method, error: { code: -32_000, data: { sent: true } } });
    }
    expect((await bridge.message()).method).toBe("notifications/tools/list_changed");
    expect((await bridge.message()).method).toBe("notifications/resources/list_changed");
    bridge.say({ id: 2, method: "x" });
    expect(await bridge.message()).toMatchObject({ id: 2 });
    expect(seen[0]).toBe("/tools/mcp initialize none");
    expect(seen.at(-1)).toBe("/tools/mcp x s2");
    // The stream of the session before is not kept.
    expect(streamsOver).toHaveLength(2);
    await streamsOver[0];
    expect(await bridge.end()).toEqual({ code: 0, messages: [] });
    expect(seen.at(-1)).toBe("DELETE s2");
  },
);

test("bss mcp says that a tab of HTTP was not asked where it takes no more calls, and quotes nothing that is no JSON", async () => {
  const held = new Deferred<Response>();
  const handler = async (request: Request): Promise<Response> => {
    const { id, method } = (await request.json()) as Message;
    if (method === "hold") return held.promise;
    return new Response(reply(id, { capabilities }));
  };
  const server = serve(relay.origin, "full", handler, { maxCallsPerStream: 1 });
  onTestFinished(() => server.end());
  await server.ready;
  const bridge = new Bridge("full");
  bridge.say(initialize);
  expect((await bridge.message()).id).toBe(0);
  bridge.say({ id: "held", method: "hold" }, { id: "over", method: "x" });
  const data = { sent: false, failure: "FAILURE_LIMIT_REACHED", hop: "HOP_CALLER" };
  expect(await bridge.message()).toMatchObject({ id: "over", error: { data } });
  held.resolve(new Response("[secret"));
  const { id, error } = await bridge.message();
  expect([id, error?.message]).toEqual(["held", expect.not.stringContaining("secret")]);
  expect(await bridge.end()).toEqual({ code: 0, messages: [] });
  expect(bridge.command.errorLines.join()).not.toContain("secret");
});
