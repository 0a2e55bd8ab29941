import { type Stream, StreamServer, type TransportLike } from "browser-stream-server";

const messageBytes = 250_000;
const messages = 64;
/**
 * Half of the 16 MB that flow in each direction. Windows and buffers on the way take less; a call that holds what it
 * has received takes all of it.
 */
export const maxHeldBytes = (messages * messageBytes) / 2;

/**
 * The bytes of all buffers that something still refers to, after the event loop has let go of what it refers to itself.
 */
async function heldBytes(collectGarbage: () => void): Promise<number> {
  for (let turn = 0; turn < 3; turn++) {
    await new Promise((resolve) => setImmediate(resolve));
    collectGarbage();
  }
  return process.memoryUsage().arrayBuffers;
}

/**
 * Sends messages through an echo, and resolves with the bytes by which the buffers of this process have grown before
 * the stream ends. Needs Node, with its `gc`.
 */
export async function growthOverEcho(
  name: string,
  transport: TransportLike,
  connect: (name: string) => Stream,
  collectGarbage: () => void,
): Promise<number> {
  const server = StreamServer(transport, async (stream) => stream.readable.pipeTo(stream.writable)).listen(name);
  await server.ready;
  const stream = connect(name);
  const writer = stream.writable.getWriter();
  const reader = stream.readable.getReader();
  const roundTrip = async () => {
    await writer.write(new Uint8Array(messageBytes));
    await reader.read();
  };
  await roundTrip();
  const before = await heldBytes(collectGarbage);
  for (let sent = 0; sent < messages; sent++) await roundTrip();
  const after = await heldBytes(collectGarbage);
  await writer.close();
  await stream.closed;
  await server.end();
  return after - before;
}
