import { createHash, randomBytes } from "node:crypto";
import * as node from "@connectrpc/connect-node";
import { type Stream, StreamClient, StreamServer } from "browser-stream-server";
import type { Browser } from "playwright-core";
import { afterAll, beforeAll, describe, expect, test } from "vitest";
import { type RelayProcess, startRelay } from "../../relay-process.js";
import { launchBrowser, openTab } from "../browser.js";

const nodeTransports = {
  Connect: node.createConnectTransport,
  gRPC: node.createGrpcTransport,
  "gRPC-Web": node.createGrpcWebTransport,
};

/** In a page: answers what it is sent, message by message, and ends when the other side has. */
const echo = `
globalThis.echo = async (stream) => {
  for await (const message of stream) {
    if (!stream.write(message)) await new Promise((resolve) => stream.once("drain", resolve));
  }
  stream.end();
  await stream.closed;
  return "echoed";
};
`;

let browser: Browser;
let relay: RelayProcess;

beforeAll(async () => {
  [browser, relay] = await Promise.all([launchBrowser(), startRelay()]);
});

afterAll(async () => {
  await browser?.close();
  await relay?.stop();
});

/** Sends text and 2 MiB, and expects them back. */
async function expectEcho(stream: Stream): Promise<void> {
  const parts = Array.from({ length: 8 }, () => randomBytes(262_144));
  const writer = stream.writable.getWriter();
  const sending = (async () => {
    await writer.write("from Node");
    for (const part of parts) await writer.write(part);
    await writer.close();
  })();
  const received = createHash("sha256");
  const texts: string[] = [];
  for await (const message of stream) {
    if (typeof message === "string") texts.push(message);
    else received.update(message);
  }
  await sending;
  await stream.closed;
  expect(texts).toEqual(["from Node"]);
  expect(received.digest("hex")).toBe(createHash("sha256").update(Buffer.concat(parts)).digest("hex"));
}

describe.each(Object.keys(nodeTransports) as (keyof typeof nodeTransports)[])("Node over %s", (protocol) => {
  const baseUrl = () => `${relay.origin}/browser-server`;

  function nodeTransport() {
    const sessionManager = new node.Http2SessionManager(baseUrl());
    const transport = nodeTransports[protocol]({ baseUrl: baseUrl(), httpVersion: "2", sessionManager });
    return { transport, close: () => sessionManager.abort() };
  }

  test("listens, and a tab connects", async () => {
    const { transport, close } = nodeTransport();
    const server = StreamServer(transport).listen(`node ${protocol}`);
    await server.ready;
    const tab = await openTab(await browser.newContext(), relay.origin);
    await tab.run(`${echo}
      import { StreamClient } from "browser-stream-server";
      globalThis.done = echo(StreamClient(location.origin).connect(${JSON.stringify(`node ${protocol}`)}));
    `);
    const { value: stream } = await server[Symbol.asyncIterator]().next();
    if (stream === undefined) throw new Error("the server ended");
    await expectEcho(stream);
    expect(await tab.page.evaluate("done")).toBe("echoed");
    await server.end();
    close();
    await tab.page.context().close();
  });

  test("connects, and a tab listens", async () => {
    const tab = await openTab(await browser.newContext(), relay.origin);
    await tab.run(`${echo}
      import { StreamServer } from "browser-stream-server";
      await StreamServer(location.origin, (stream) => { globalThis.done = echo(stream); })
        .listen(${JSON.stringify(`tab ${protocol}`)}).ready;
    `);
    const { transport, close } = nodeTransport();
    await expectEcho(StreamClient(transport).connect(`tab ${protocol}`));
    expect(await tab.page.evaluate("done")).toBe("echoed");
    close();
    await tab.page.context().close();
  });
});
