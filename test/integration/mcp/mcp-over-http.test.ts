import {
  Client as Client2,
  StreamableHTTPClientTransport as StreamableHTTPClientTransport2,
} from "@modelcontextprotocol/client";
import { Client } from "@modelcontextprotocol/sdk/client/index.js";
import { StreamableHTTPClientTransport } from "@modelcontextprotocol/sdk/client/streamableHttp.js";
import { McpServer } from "@modelcontextprotocol/sdk/server/mcp.js";
import { WebStandardStreamableHTTPServerTransport } from "@modelcontextprotocol/sdk/server/webStandardStreamableHttp.js";
import { ListRootsRequestSchema, ToolListChangedNotificationSchema } from "@modelcontextprotocol/sdk/types.js";
import { createFetch, serve } from "browser-stream-server/http";
import { afterAll, beforeAll, describe, expect, onTestFinished, test } from "vitest";
import { z } from "zod";
import { holdsNothing, openRelay, type TestRelay } from "../relay-ports.js";

let relay: TestRelay;

beforeAll(async () => {
  relay = await openRelay({ gateway: { by: "path" } });
});

afterAll(async () => {
  await holdsNothing(relay, "links");
  await relay.close();
});

const info = { name: "test", version: "1" };

/** Serves tools on a name with the SDK's web-standard transport, in sessions. */
async function serveTools(name: string): Promise<void> {
  const sessions = new Map<string, WebStandardStreamableHTTPServerTransport>();
  const server = serve(relay.origin, name, async (request) => {
    const known = sessions.get(request.headers.get("mcp-session-id") ?? "");
    if (known !== undefined) return known.handleRequest(request);
    const transport = new WebStandardStreamableHTTPServerTransport({
      sessionIdGenerator: () => crypto.randomUUID(),
      onsessioninitialized: (id) => void sessions.set(id, transport),
    });
    await createTools().connect(transport);
    return transport.handleRequest(request);
  });
  onTestFinished(() => server.end());
  // Its stream of events would be a call that is under way.
  onTestFinished(async () => {
    for (const session of sessions.values()) await session.close();
  });
  await server.ready;
}

function createTools(): McpServer {
  const server = new McpServer(info);
  server.registerTool("echo", { inputSchema: { text: z.string() } }, async ({ text }, { sendNotification }) => {
    await sendNotification({ method: "notifications/tools/list_changed" });
    const { roots } = await server.server.listRoots();
    return { content: [{ type: "text", text: `${text} of ${roots[0]?.uri}` }] };
  });
  return server;
}

/** How a client reaches the listener of a name: the URL, and what else its transport needs. */
const ways: [string, (name: string) => [string, ConstructorParameters<typeof StreamableHTTPClientTransport>[1]?]][] = [
  [
    "createFetch",
    (name) => {
      const fetch = createFetch(relay.origin, name);
      onTestFinished(() => fetch.close());
      return ["http://localhost/mcp", { fetch }];
    },
  ],
  ["the gateway", (name) => [`${relay.origin}/~/${encodeURIComponent(name)}/mcp`]],
];

describe.each(ways)("the official client through %s", (way, target) => {
  test("calls tools that the SDK serves over HTTP, and is asked by them", async () => {
    const name = `tools by ${way}`;
    await serveTools(name);
    const client = new Client(info, { capabilities: { roots: {} } });
    const changed = new Promise<void>((resolve) => {
      client.setNotificationHandler(ToolListChangedNotificationSchema, () => resolve());
    });
    client.setRequestHandler(ListRootsRequestSchema, () => ({ roots: [{ uri: "file:///here" }] }));
    const [url, options] = target(name);
    await client.connect(new StreamableHTTPClientTransport(new URL(url), options));
    const { content } = await client.callTool({ name: "echo", arguments: { text: "hello" } });
    expect(content).toEqual([{ type: "text", text: "hello of file:///here" }]);
    await changed;
    await client.close();
  });

  test("does so in its version 2", async () => {
    const name = `tools of 2 by ${way}`;
    await serveTools(name);
    const client = new Client2(info);
    const [url, options] = target(name);
    await client.connect(new StreamableHTTPClientTransport2(new URL(url), options));
    expect((await client.listTools()).tools.map(({ name }) => name)).toEqual(["echo"]);
    await client.close();
  });
});
