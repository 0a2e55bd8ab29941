import { once } from "node:events";
import type { IncomingMessage } from "node:http";
import type { AddressInfo } from "node:net";
import { afterEach, beforeEach, expect, test } from "vitest";
import { type WebSocket, WebSocketServer } from "ws";
import type { LinkSocketLike } from "../../../../web/link/websocket-link.js";
import { nodeSockets } from "../../../../web/node/node-websocket.js";
import { relayUrl } from "../../../../web/transport/relay-url.js";

const largeBytes = 200_000;

let server: WebSocketServer;

beforeEach(async () => {
  server = new WebSocketServer({ host: "127.0.0.1", port: 0, perMessageDeflate: false });
  await once(server, "listening");
});

afterEach(async () => {
  for (const socket of server.clients) socket.terminate();
  await new Promise((resolve) => server.close(resolve));
});

/** Opens a socket, and resolves with both ends of it and with the request that asked for it. */
async function open() {
  const url = `127.0.0.1:${(server.address() as AddressInfo).port}`;
  const connected = once(server, "connection") as Promise<[WebSocket, IncomingMessage]>;
  const socket: LinkSocketLike = nodeSockets(relayUrl(`http://${url}`))(`ws://${url}`);
  const opened = once(socket as unknown as WebSocket, "open");
  const [peer, request] = await connected;
  await opened;
  return { socket, peer, request };
}

test("nodeSockets sends large and small messages in their order, whatever becomes of their memory", async () => {
  const { socket, peer } = await open();
  const received: Buffer[] = [];
  const whole = new Promise<void>((resolve) => {
    peer.on("message", (data: Buffer) => {
      if (received.push(Buffer.from(data)) === 60) resolve();
    });
  });
  // The kernel takes only some of the messages, so Node reads the others later.
  peer.pause();
  let memory = new Uint8Array(largeBytes);
  for (let index = 0; index < 60; index += 1) {
    const bytes = memory.subarray(0, index % 3 === 0 ? 100 : largeBytes - index).fill(index);
    socket.send(bytes);
    expect(bytes.every((byte) => byte === index)).toBe(true);
    if (socket.isMemoryFree?.()) memory.fill(255);
    else memory = new Uint8Array(largeBytes);
  }
  peer.resume();
  await whole;
  const isIntact = received.map((data, index) => data.every((byte) => byte === index) && data.byteLength);
  expect(isIntact).toEqual(received.map((_, index) => (index % 3 === 0 ? 100 : largeBytes - index)));
});

test("nodeSockets sends the messages of one turn together, when it is over", async () => {
  const { socket, peer } = await open();
  const received = new Promise((resolve) => {
    peer.on("message", (data: Buffer) => data.byteLength === 20 && resolve(undefined));
  });
  const sizes = [10, 5_000, 20];
  for (const size of sizes) socket.send(new Uint8Array(size));
  // Not even the head of a frame has been handed to the kernel.
  expect(socket.bufferedAmount).toBeGreaterThan(sizes.reduce((sum, bytes) => sum + bytes));
  await received;
  expect(socket.bufferedAmount).toBe(0);
});

test("nodeSockets masks each large message with another key", async () => {
  const { socket, peer, request } = await open();
  const chunks: Buffer[] = [];
  // Before `ws`, which unmasks the bytes where they are.
  request.socket.prependListener("data", (chunk) => chunks.push(Buffer.from(chunk)));
  const zeros = new Uint8Array(20_000);
  for (const _ of [1, 2]) {
    socket.send(zeros);
    const [data] = (await once(peer, "message")) as [Buffer];
    expect(data.equals(zeros)).toBe(true);
  }
  const raw = Buffer.concat(chunks);
  const headBytes = 4;
  const keyBytes = 4;
  const keys = [0, headBytes + keyBytes + zeros.byteLength].map((at) =>
    raw.subarray(at + headBytes, at + headBytes + keyBytes),
  );
  // A masked zero is a byte of the key.
  expect(raw.subarray(-keyBytes)).toEqual(keys[1]);
  expect(keys[0]).not.toEqual(keys[1]);
});
