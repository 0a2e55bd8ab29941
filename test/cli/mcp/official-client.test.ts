import { Client } from "@modelcontextprotocol/sdk/client/index.js";
import { StdioClientTransport } from "@modelcontextprotocol/sdk/client/stdio.js";
import { McpServer } from "@modelcontextprotocol/sdk/server/mcp.js";
import { WebStandardStreamableHTTPServerTransport } from "@modelcontextprotocol/sdk/server/webStandardStreamableHttp.js";
import {
  ErrorCode,
  ListRootsRequestSchema,
  ToolListChangedNotificationSchema,
} from "@modelcontextprotocol/sdk/types.js";
import { StreamServer } from "browser-stream-server";
import { serve } from "browser-stream-server/http";
import { McpTransport } from "browser-stream-server/mcp";
import { describe, expect, onTestFinished, test } from "vitest";
import { z } from "zod";
import { mainPath } from "../command-line.js";
import { useFileRelay } from "../file-relay.js";

const relay = useFileRelay({ graceMs: 1_000 });

const info = { name: "test", version: "1" };
const call = (text: string) => ({ name: "echo", arguments: { text } });
const answer = (text: string) => ({ content: [{ type: "text", text }] });

/** What a listener is to the command: a page that can be left and come back. */
interface Page {
  leave(): Promise<void>;
}

/** The tools of the page, which answers no call of "never". */
function createServer(onCall: () => void = () => {}): McpServer {
  const server = new McpServer(info);
  server.registerTool("echo", { inputSchema: { text: z.string() } }, async ({ text }) => {
    onCall();
    if (text === "never") await new Promise(() => {});
    return { content: [{ type: "text", text }] };
  });
  server.registerTool("roots", {}, async () => {
    const { roots } = await server.server.listRoots();
    return { content: [{ type: "text", text: roots[0]?.uri ?? "" }] };
  });
  return server;
}

/** A page that speaks MCP over streams. */
async function openStreamPage(name: string, onCall?: () => void): Promise<Page> {
  const transports = new Set<McpTransport>();
  const server = StreamServer(relay.origin, async (stream) => {
    const transport = new McpTransport(stream);
    transports.add(transport);
    await createServer(onCall).connect(transport);
  }).listen(name);
  await server.ready;
  return {
    async leave() {
      await server.end();
      await Promise.all([...transports].map((transport) => transport.close()));
    },
  };
}

/** A page that serves MCP over HTTP, in sessions. */
async function openHttpPage(name: string, onCall?: () => void): Promise<Page> {
  const sessions = new Map<string, WebStandardStreamableHTTPServerTransport>();
  const server = serve(relay.origin, name, async (request) => {
    const known = sessions.get(request.headers.get("mcp-session-id") ?? "");
    if (known !== undefined) return known.handleRequest(request);
    const transport = new WebStandardStreamableHTTPServerTransport({
      sessionIdGenerator: () => crypto.randomUUID(),
      onsessioninitialized: (id) => void sessions.set(id, transport),
    });
    await createServer(onCall).connect(transport);
    return transport.handleRequest(request);
  });
  await server.ready;
  return {
    async leave() {
      for (const session of sessions.values()) await session.close();
      await server.end();
    },
  };
}

/** The official client, which starts the command. */
async function openClient(name: string): Promise<Client> {
  const args = [mainPath, "mcp", name, "--relay", relay.origin];
  const transport = new StdioClientTransport({ command: process.execPath, args, stderr: "ignore" });
  const client = new Client(info, { capabilities: { roots: {} } });
  client.setRequestHandler(ListRootsRequestSchema, () => ({ roots: [{ uri: "file:///here" }] }));
  onTestFinished(() => client.close());
  await client.connect(transport);
  return client;
}

describe.each([
  ["MCP over the stream", openStreamPage],
  ["MCP over HTTP", openHttpPage],
])("a page that speaks %s", (protocol, openPage) => {
  test("is called by the official client through bss mcp, and asks it", async () => {
    const name = `tools, ${protocol}`;
    const page = await openPage(name);
    onTestFinished(() => page.leave());
    const client = await openClient(name);
    expect(await client.callTool(call("hello\n\u2028\u{1f600}"))).toEqual(answer("hello\n\u2028\u{1f600}"));
    expect(await client.callTool({ name: "roots" })).toEqual(answer("file:///here"));
  });

  test("may be reloaded under the client, which is told", async () => {
    const name = `reloaded, ${protocol}`;
    let isCalled = () => {};
    const called = new Promise<void>((resolve) => {
      isCalled = resolve;
    });
    const page = await openPage(name, () => isCalled());
    const client = await openClient(name);
    const changed = new Promise<void>((resolve) => {
      client.setNotificationHandler(ToolListChangedNotificationSchema, () => resolve());
    });
    const lost = client.callTool(call("never"));
    await called;
    const error = expect(lost).rejects.toMatchObject({
      code: ErrorCode.ConnectionClosed,
      data: { hop: "HOP_PEER", sent: true },
    });
    await page.leave();
    await error;
    const waiting = client.callTool(call("meanwhile"));
    const next = await openPage(name);
    onTestFinished(() => next.leave());
    expect(await waiting).toEqual(answer("meanwhile"));
    await changed;
    expect(await client.callTool({ name: "roots" })).toEqual(answer("file:///here"));
  });
});
