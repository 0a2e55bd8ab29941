import { once } from "node:events";
import { connect, type Socket } from "node:net";
import { StreamServer } from "browser-stream-server";
import { serve } from "browser-stream-server/http";
import { afterEach, beforeEach, expect, test } from "vitest";
import { relayOf } from "../../../server/stream-server-proxy.js";
import { openBystander } from "../bystander.js";
import { openRelay, type TestRelay } from "../relay-ports.js";
import { until } from "../until.js";

const mebibyte = 1_048_576;
const maxHeldBytes = 4 * mebibyte;
/** What comes between two looks of the relay, where the listener is in this process. */
const betweenLooksBytes = 12 * mebibyte;
const readers = 40;

let relay: TestRelay;
const sockets: Socket[] = [];
const ends: (() => Promise<unknown>)[] = [];

beforeEach(async () => {
  relay = await openRelay({ gateway: { by: "path" }, limits: { maxHeldBytes } });
});

afterEach(async () => {
  for (const socket of sockets.splice(0)) socket.destroy();
  for (const end of ends.splice(0)) await end();
  await relay.close();
});

/** A client that sends a request and reads nothing of the answer. */
async function readNothing(headers: readonly string[]): Promise<void> {
  const { port } = new URL(relay.origin);
  const socket = connect({ host: "127.0.0.1", port: Number(port) }).on("error", () => {});
  sockets.push(socket);
  await once(socket, "connect");
  socket.pause();
  socket.write(["GET /~/pourer/ HTTP/1.1", `Host: 127.0.0.1:${port}`, ...headers, "\r\n"].join("\r\n"));
}

const upgrade = [
  "Connection: Upgrade",
  "Upgrade: websocket",
  "Sec-WebSocket-Version: 13",
  "Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==",
];

test.each([
  ["requests", []],
  ["WebSockets", upgrade],
])("clients of %s that read nothing leave maxHeldBytes in the relay at most", async (what, headers) => {
  const { heldBytes } = relayOf(relay.proxy).admission;
  const bystander = await openBystander(relay);
  let failed = 0;
  if (what === "requests") {
    const endless = () => {
      const body = new ReadableStream<Uint8Array>({
        pull: (controller) => controller.enqueue(new Uint8Array(65_536)),
        cancel: () => {
          failed += 1;
        },
      });
      return new Response(body);
    };
    const server = serve(relay.origin, "pourer", endless);
    ends.push(() => server.end());
    await server.ready;
  } else {
    const server = StreamServer(relay.origin, async (stream) => {
      const writer = stream.writable.getWriter();
      try {
        for (;;) await writer.write(new Uint8Array(65_536));
      } catch {
        failed += 1;
      }
    }).listen("pourer");
    ends.push(() => server.end());
    await server.ready;
  }
  let mostBytes = 0;
  const look = setInterval(() => {
    mostBytes = Math.max(mostBytes, heldBytes.bytes);
  }, 5);
  for (let reader = 0; reader < readers; reader += 1) await readNothing(headers);
  await until(
    () => failed > 0,
    () => `${heldBytes.bytes} wait`,
  );
  clearInterval(look);
  expect(mostBytes).toBeLessThan(maxHeldBytes + betweenLooksBytes);
  await bystander.expectUndisturbed();
});
