import { once } from "node:events";
import { type AddressInfo, connect, createServer, type Socket } from "node:net";
import { expect, onTestFinished, test } from "vitest";
import { resetSocket } from "../../../cli/stream/reset-socket.js";

/** The two ends of a connection. */
async function openConnection(): Promise<[near: Socket, far: Socket]> {
  const server = createServer({ allowHalfOpen: true }).listen(0, "127.0.0.1");
  await once(server, "listening");
  const near = connect((server.address() as AddressInfo).port, "127.0.0.1");
  const [[far]] = (await Promise.all([once(server, "connection"), once(near, "connect")])) as [[Socket], unknown];
  onTestFinished(async () => {
    near.destroy();
    await new Promise((resolve) => server.close(resolve));
  });
  return [near, far];
}

/** Resets the far end, and resolves when it is closed. */
async function reset(far: Socket): Promise<void> {
  const failures: unknown[] = [];
  far.on("error", (reason) => failures.push(reason));
  resetSocket(far);
  if (!far.closed) await once(far, "close");
  expect(failures).toEqual([]);
}

test.each<[when: string, before: (socket: Socket) => unknown]>([
  ["is open", () => {}],
  ["has bytes to send", (socket) => socket.write(Buffer.alloc(20_000_000))],
])("the peer of a socket that %s is told of the reset", async (_when, before) => {
  const [near, far] = await openConnection();
  const told = once(near, "error").catch((reason: unknown) => [reason]);
  before(far);
  await reset(far);
  near.resume();
  expect(await told).toMatchObject([{ code: "ECONNRESET" }]);
});

test.each<[when: string, before: (socket: Socket) => unknown]>([
  ["has its end on the way", (socket) => socket.end("the last")],
  ["has ended", (socket) => once(socket.end(), "finish")],
  ["is destroyed", (socket) => socket.destroy()],
])("a socket that %s closes, and keeps no descriptor", async (_when, before) => {
  const [, far] = await openConnection();
  await before(far);
  await reset(far);
});
