import { once } from "node:events";
import { createServer, type IncomingMessage, type ServerResponse } from "node:http";
import type { AddressInfo } from "node:net";
import { text } from "node:stream/consumers";
import { Client } from "@modelcontextprotocol/sdk/client/index.js";
import { StdioClientTransport } from "@modelcontextprotocol/sdk/client/stdio.js";
import { LoggingMessageNotificationSchema } from "@modelcontextprotocol/sdk/types.js";
import { describe, expect, onTestFinished, test } from "vitest";
import { mainPath } from "../command-line.js";
import { useFileRelay } from "../file-relay.js";

const relay = useFileRelay();

/** A request for a stream of events that the test answers by hand. */
interface Asked {
  request: IncomingMessage;
  response: ServerResponse;
  lastEventId: string | undefined;
}

/** Requests in the order in which they came. */
class Arrivals {
  readonly #arrived: Asked[] = [];
  #onArrival = () => {};

  push(request: IncomingMessage, response: ServerResponse): void {
    this.#arrived.push({ request, response, lastEventId: request.headers["last-event-id"] as string | undefined });
    this.#onArrival();
  }

  async next(): Promise<Asked> {
    while (this.#arrived.length === 0) {
      await new Promise<void>((resolve) => {
        this.#onArrival = resolve;
      });
    }
    return this.#arrived.shift() as Asked;
  }
}

const json = { "content-type": "application/json" };
const eventStream = { "content-type": "text/event-stream" };
const log = (data: string) =>
  JSON.stringify({ jsonrpc: "2.0", method: "notifications/message", params: { level: "info", data } });

/**
 * A server of MCP on this machine that `bss listen --http` puts on a name, and the official client, which starts
 * `bss mcp`. The test answers requests for the stream of events, and calls of tools.
 */
async function open(name: string) {
  const [streams, calls] = [new Arrivals(), new Arrivals()];
  const ids: unknown[] = [];
  const server = createServer(async (request, response) => {
    if (request.method === "GET") return streams.push(request, response);
    if (request.method === "DELETE") return response.writeHead(204).end();
    const { id, method, params } = JSON.parse(await text(request));
    if (method === "initialize") {
      const serverInfo = { name: "test", version: "1" };
      const result = { protocolVersion: params.protocolVersion, capabilities: { tools: {}, logging: {} }, serverInfo };
      const headers = { ...json, "mcp-session-id": "s" };
      return response.writeHead(200, headers).end(JSON.stringify({ jsonrpc: "2.0", id, result }));
    }
    if (method !== "tools/call") return response.writeHead(202).end();
    ids.push(id);
    calls.push(request, response);
  }).listen(0, "127.0.0.1");
  await once(server, "listening");
  onTestFinished(() => {
    server.close();
    server.closeAllConnections();
  });
  const { port } = server.address() as AddressInfo;
  const listener = relay.command("listen", name, "--http", `127.0.0.1:${port}`);
  await listener.hasSaid();
  const client = new Client({ name: "test", version: "1" });
  const heard: unknown[] = [];
  let onHeard = () => {};
  client.setNotificationHandler(LoggingMessageNotificationSchema, ({ params }) => {
    heard.push(params.data);
    onHeard();
  });
  onTestFinished(() => client.close());
  const args = [mainPath, "mcp", name, "--relay", relay.origin];
  await client.connect(new StdioClientTransport({ command: process.execPath, args, stderr: "ignore" }));
  return {
    streams,
    calls,
    client,
    heard,
    idOfCall: () => ids.at(-1),
    async hasHeard(count: number) {
      while (heard.length < count) {
        await new Promise<void>((resolve) => {
          onHeard = resolve;
        });
      }
    },
  };
}

describe("bss mcp, where the connection under a stream of events is cut", () => {
  test("opens the stream again from the last event on, as soon as the tab says", async () => {
    const { streams, heard, hasHeard } = await open("cut");
    const first = await streams.next();
    expect(first.lastEventId).toBeUndefined();
    // An id counts for the event before it: what was cut off within an event comes again.
    first.response.writeHead(200, eventStream).write(`retry: 1\nid: a\ndata: ${log("one")}\n\nid: b\ndata: {`);
    await hasHeard(1);
    first.request.socket.destroy();
    // The next attempt is refused for now, the one after it is cut before an answer, and the third ends without an
    // event.
    const refused = await streams.next();
    refused.response.writeHead(503).end();
    const cut = await streams.next();
    cut.request.socket.destroy();
    const ended = await streams.next();
    ended.response.writeHead(200, eventStream).end();
    const last = await streams.next();
    expect([refused, cut, ended, last].map(({ lastEventId }) => lastEventId)).toEqual(["a", "a", "a", "a"]);
    last.response.writeHead(200, eventStream).write(`id: b\ndata: ${log("two")}\n\n`);
    await hasHeard(2);
    expect(heard).toEqual(["one", "two"]);
  });

  test("waits for the response to a call on the stream that goes on from there", async () => {
    const { streams, calls, client, idOfCall } = await open("call");
    (await streams.next()).response.writeHead(405).end();
    const called = client.callTool({ name: "slow" });
    const { request, response } = await calls.next();
    response.writeHead(200, eventStream).write("retry: 1\nid: a\ndata:\n\n", () => request.socket.destroy());
    const resumed = await streams.next();
    expect(resumed.lastEventId).toBe("a");
    const result = { content: [{ type: "text", text: "done" }] };
    resumed.response
      .writeHead(200, eventStream)
      .end(`id: b\ndata: ${JSON.stringify({ jsonrpc: "2.0", id: idOfCall(), result })}\n\n`);
    expect(await called).toEqual(result);
  });

  test("answers a call with an error where its stream has no ids, or cannot go on", async () => {
    const { streams, calls, client } = await open("lost");
    (await streams.next()).response.writeHead(405).end();
    for (const beginning of [": no id\n\n", "retry: 1\nid: a\ndata:\n\n"]) {
      const failed = expect(client.callTool({ name: "slow" })).rejects.toMatchObject({ code: -32_000 });
      const { request, response } = await calls.next();
      response.writeHead(200, eventStream).write(beginning, () => request.socket.destroy());
      if (beginning.includes("id:")) (await streams.next()).response.writeHead(400).end();
      await failed;
    }
  });
});
