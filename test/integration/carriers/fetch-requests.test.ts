import { once } from "node:events";
import { createServer } from "node:http";
import type { AddressInfo } from "node:net";
import { createConnectTransport } from "@connectrpc/connect-web";
import { StreamClient, StreamServer } from "browser-stream-server";
import { StreamServerProxy } from "browser-stream-server/server";
import { afterAll, beforeAll, expect, test } from "vitest";

const proxy = StreamServerProxy();
const http1 = createServer();
/** The methods that were called, and how many requests there were at once, at most. */
const called: string[] = [];
let requests = 0;
let maxRequests = 0;

beforeAll(async () => {
  http1.on("request", (request, response) => {
    called.push(request.url?.split("/").at(-1) ?? "");
    requests += 1;
    maxRequests = Math.max(maxRequests, requests);
    response.once("close", () => {
      requests -= 1;
    });
    proxy.handler(request, response);
  });
  http1.listen(0, "127.0.0.1");
  await once(http1, "listening");
});

afterAll(async () => {
  proxy.close();
  http1.closeAllConnections();
  await new Promise((resolve) => http1.close(resolve));
});

test("a tab makes two requests at once at most, one of them to receive, however many streams it has", async () => {
  const baseUrl = `http://127.0.0.1:${(http1.address() as AddressInfo).port}/browser-server`;
  const transport = createConnectTransport({ baseUrl });
  const server = StreamServer(transport, (stream) => stream.pipe(stream)).listen("echo");
  await server.ready;
  const messages = Array.from({ length: 20 }, () => new Uint8Array(20_000));
  async function echo(): Promise<void> {
    const stream = StreamClient(transport).connect("echo");
    for (const message of messages) stream.write(message);
    stream.end();
    const echoed: unknown[] = [];
    for await (const message of stream) echoed.push(message);
    expect(echoed).toHaveLength(messages.length);
  }
  await Promise.all(Array.from({ length: 8 }, echo));
  await server.end();
  expect(maxRequests).toBe(2);
  expect(new Set(called)).toEqual(new Set(["Receive", "Send"]));
  expect(called.filter((method) => method === "Receive")).toHaveLength(1);
});
