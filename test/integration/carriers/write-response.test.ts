import { once } from "node:events";
import { createServer, get, type IncomingMessage, type ServerResponse } from "node:http";
import type { AddressInfo } from "node:net";
import { expect, test } from "vitest";
import { writeResponse } from "../../../server/http/write-response.js";
import { Deferred } from "../../../stream/platform/deferred.js";

const chunk = new Uint8Array(100_000);
const chunks = 50;

/** A server whose every answer is that body; resolves with the first response of it, and what its peer reads. */
async function answered(body: () => AsyncGenerator<Uint8Array>) {
  const written = new Deferred<ServerResponse>();
  const server = createServer((_, response) => {
    writeResponse({ status: 200, body: body() }, response).then(() => written.resolve(response), written.reject);
  });
  server.listen(0, "127.0.0.1");
  await once(server, "listening");
  const { port } = server.address() as AddressInfo;
  const request = get({ host: "127.0.0.1", port, agent: false });
  const [response] = (await once(request, "response")) as [IncomingMessage];
  return { response, written: written.promise, close: () => new Promise((resolve) => server.close(resolve)) };
}

test("writeResponse adds one listener for each event, however often a slow peer makes it wait", async () => {
  const { response, written, close } = await answered(async function* () {
    for (let sent = 0; sent < chunks; sent++) yield chunk;
  });
  let receivedBytes = 0;
  for await (const part of response) {
    receivedBytes += part.byteLength;
    await new Promise((resolve) => setImmediate(resolve));
  }
  expect(receivedBytes).toBe(chunks * chunk.byteLength);
  expect((await written).listenerCount("drain")).toBe(1);
  await close();
});

test("writeResponse leaves the body when its peer has gone while it waited for it", async () => {
  const left = new Deferred<void>();
  const { response, written, close } = await answered(async function* () {
    try {
      for (;;) yield chunk;
    } finally {
      left.resolve();
    }
  });
  response.destroy();
  await Promise.all([left.promise, written]);
  await close();
});
