import { Client as Client2 } from "@modelcontextprotocol/client";
import { Client } from "@modelcontextprotocol/sdk/client/index.js";
import { McpServer } from "@modelcontextprotocol/sdk/server/mcp.js";
import { ErrorCode, ListRootsRequestSchema } from "@modelcontextprotocol/sdk/types.js";
import { McpServer as McpServer2 } from "@modelcontextprotocol/server";
import { Code, Failure, type Stream, StreamClient, StreamServer } from "browser-stream-server";
import { McpTransport } from "browser-stream-server/mcp";
import { afterAll, beforeAll, describe, expect, onTestFinished, test } from "vitest";
import { z } from "zod";
import { ChaosProxy } from "../../chaos/network/chaos-proxy.js";
import { holdsNothing, openRelay, type TestRelay } from "../relay-ports.js";
import { until } from "../until.js";

let relay: TestRelay;

beforeAll(async () => {
  relay = await openRelay();
});

afterAll(async () => {
  await holdsNothing(relay, "links");
  await relay.close();
});

const info = { name: "test", version: "1" };

/** Claims a name with a server of MCP for each client. */
async function serveTools(name: string, createServer: () => Pick<McpServer, "connect">, origin = relay.origin) {
  const server = StreamServer(origin, (stream) => createServer().connect(new McpTransport(stream))).listen(name);
  onTestFinished(() => server.end());
  await server.ready;
}

function createServer(): McpServer {
  const server = new McpServer(info);
  server.registerTool("echo", { inputSchema: { text: z.string() } }, ({ text }) => {
    return { content: [{ type: "text", text }] };
  });
  return server;
}

const connect = (name: string, origin = relay.origin): Stream => StreamClient(origin).connect(name);

async function openClient(name: string, origin = relay.origin): Promise<Client> {
  const client = new Client(info);
  onTestFinished(() => client.close());
  await client.connect(new McpTransport(connect(name, origin)));
  return client;
}

const call = (text: string) => ({ name: "echo", arguments: { text } });
const answer = (text: string) => ({ content: [{ type: "text", text }] });

describe("McpTransport", () => {
  test("carries the SDK's version 1 at both ends, until either closes", async () => {
    await serveTools("tools", createServer);
    const client = await openClient("tools");
    expect((await client.listTools()).tools.map(({ name }) => name)).toEqual(["echo"]);
    expect(await client.callTool(call("hello"))).toEqual(answer("hello"));
  });

  test("carries the SDK's version 2 at both ends", async () => {
    await serveTools("tools 2", () => {
      const server = new McpServer2(info);
      server.registerTool("echo", { inputSchema: z.object({ text: z.string() }) }, ({ text }) => {
        return { content: [{ type: "text", text }] };
      });
      return server;
    });
    const client = new Client2(info);
    onTestFinished(() => client.close());
    await client.connect(new McpTransport(connect("tools 2")));
    expect(await client.callTool(call("hello"))).toEqual(answer("hello"));
  });

  test("lets the server ask the client, and tells both handlers of the session", async () => {
    const sessions: (string | undefined)[] = [];
    const streams: Stream[] = [];
    const server = StreamServer(relay.origin, async (stream) => {
      streams.push(stream);
      const tools = new McpServer(info);
      tools.registerTool("whoami", {}, async ({ sessionId }) => {
        sessions.push(sessionId);
        const { roots } = await tools.server.listRoots();
        return { content: [{ type: "text", text: roots[0]?.uri ?? "" }] };
      });
      await tools.connect(new McpTransport(stream));
    }).listen("asking");
    onTestFinished(() => server.end());
    await server.ready;
    const client = new Client(info, { capabilities: { roots: {} } });
    onTestFinished(() => client.close());
    client.setRequestHandler(ListRootsRequestSchema, () => ({ roots: [{ uri: "file:///here" }] }));
    await client.connect(new McpTransport(connect("asking")));
    expect(await client.callTool({ name: "whoami" })).toEqual(answer("file:///here"));
    expect(sessions).toEqual([streams[0]?.id]);
  });

  test("start rejects with why the listener cannot be had", async () => {
    await expect(openClient("nobody")).rejects.toMatchObject({ failure: Failure.NO_SUCH_NAME });
  });

  test("start rejects for a transport that was started, and send for one that is not open", async () => {
    await serveTools("once", createServer);
    const transport = new McpTransport(connect("once"));
    const ping = { jsonrpc: "2.0" as const, id: 1, method: "ping" };
    const notOpen = { code: Code.FailedPrecondition };
    await expect(transport.send(ping)).rejects.toMatchObject(notOpen);
    await transport.start();
    await expect(transport.start()).rejects.toMatchObject(notOpen);
    await transport.close();
    await expect(transport.send(ping)).rejects.toMatchObject(notOpen);
    const stream = connect("once").destroy();
    await expect(new McpTransport(stream).start()).rejects.toMatchObject(notOpen);
  });

  test("start declines a client that says it speaks something else", async () => {
    await serveTools("only tools", createServer);
    const stream = StreamClient(relay.origin).connect("only tools", { metadata: { protocol: "http" } });
    await expect(stream.opened).rejects.toMatchObject({ failure: Failure.DECLINED, code: Code.FailedPrecondition });
  });

  test("goes on after messages that are none of JSON-RPC, and tells each to onerror", async () => {
    const errors: Error[] = [];
    await serveTools("strict", () => {
      const server = createServer();
      server.server.onerror = (error) => errors.push(error);
      return server;
    });
    const stream = connect("strict");
    const client = new Client(info);
    onTestFinished(() => client.close());
    await client.connect(new McpTransport(stream));
    const noMessages = ["no JSON", "[]", "null", '{"jsonrpc":"2.0"}', '{"jsonrpc":"1.0","method":"ping"}', "\u{1f600}"];
    for (const text of noMessages) stream.write(text);
    stream.write(new Uint8Array([123, 125]));
    expect(await client.callTool(call("still here"))).toEqual(answer("still here"));
    expect(errors).toHaveLength(noMessages.length + 1);
    for (const { message } of errors) expect(message).not.toMatch(/no JSON.*no JSON|1f600/);
  });

  test("a message that is too large for the peer rejects alone, at either end", async () => {
    const errors: Error[] = [];
    await serveTools("small", () => {
      const server = new McpServer(info);
      server.server.onerror = (error) => errors.push(error);
      server.registerTool("echo", { inputSchema: { text: z.string() } }, ({ text }) => {
        return { content: [{ type: "text", text: text.repeat(300) }] };
      });
      return server;
    });
    const stream = StreamClient(relay.origin, { maxMessageBytes: 65_536 }).connect("small");
    const client = new Client(info);
    onTestFinished(() => client.close());
    await client.connect(new McpTransport(stream));
    const tooLarge = { failure: Failure.MESSAGE_TOO_LARGE };
    await expect(client.callTool(call("x".repeat(17_000_000)))).rejects.toMatchObject(tooLarge);
    // The caller of a tool whose response is too large need not wait for its timeout.
    await expect(client.callTool(call("x".repeat(300)))).rejects.toMatchObject({ code: ErrorCode.InternalError });
    expect(errors).toHaveLength(1);
    expect(await client.callTool(call("x"))).toEqual(answer("x".repeat(300)));
  });

  test("send waits while the peer reads nothing, and close ends a peer that never finishes", async () => {
    const server = StreamServer(relay.origin, (stream) => void stream.on("error", () => {})).listen("unread");
    onTestFinished(() => server.end());
    await server.ready;
    const transport = new McpTransport(connect("unread"));
    await transport.start();
    const notification = { jsonrpc: "2.0" as const, method: "notifications/x", params: { text: "x".repeat(2 ** 20) } };
    let sent = 0;
    const sending = (async () => {
      for (; sent < 100; sent += 1) await transport.send(notification);
    })();
    const states: string[] = [];
    transport.onclose = () => states.push("closed");
    await until(
      () => sent > 0,
      () => "nothing was sent",
    );
    const rejected = expect(sending).rejects.toMatchObject({ code: Code.FailedPrecondition });
    await Promise.all([transport.close(), rejected]);
    expect(sent).toBeLessThan(100);
    expect(states).toEqual(["closed"]);
  });

  test("either end hears that the other has closed", async () => {
    const closed: string[] = [];
    await serveTools("closing", () => {
      const server = createServer();
      server.server.onclose = () => closed.push("server");
      return server;
    });
    const stream = connect("closing");
    const client = new Client(info);
    await client.connect(new McpTransport(stream));
    await client.close();
    // Neither end was cut off.
    await stream.closed;
    await until(
      () => closed.length > 0,
      () => "the server was not told",
    );
    expect(closed).toEqual(["server"]);
  });

  test("a call goes on where the connections of both ends are cut under it", async () => {
    const open = () => ChaosProxy.open(Number(new URL(relay.origin).port));
    const networks = [await open(), await open()] as const;
    for (const network of networks) onTestFinished(() => network.close());
    let isCalled = () => {};
    const called = new Promise<void>((resolve) => {
      isCalled = resolve;
    });
    let goOn = () => {};
    const allowed = new Promise<void>((resolve) => {
      goOn = resolve;
    });
    await serveTools(
      "cut",
      () => {
        const server = new McpServer(info);
        server.registerTool("echo", { inputSchema: { text: z.string() } }, async ({ text }) => {
          isCalled();
          await allowed;
          return { content: [{ type: "text", text }] };
        });
        return server;
      },
      networks[0].origin,
    );
    const client = await openClient("cut", networks[1].origin);
    const answered = client.callTool(call("through"));
    await called;
    for (const network of networks) network.cut("rst");
    goOn();
    expect(await answered).toEqual(answer("through"));
    await client.close();
    // The relay keeps a stream whose end the cut networks could not carry.
    await until(
      () => relay.proxy.counts.streams === 0,
      () => "the stream is not over",
    );
  });
});
