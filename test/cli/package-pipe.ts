// A program that moves bytes with the package alone, to compare the command with: `listen|connect RELAY NAME BYTES`.
// The listener prints a line when it has its name; the client prints the milliseconds from the first byte to the last
// ack.
import { StreamClient, StreamServer } from "browser-stream-server";

const [role, relay = "", name = "", bytes = ""] = process.argv.slice(2);

if (role === "listen") {
  const server = StreamServer(relay, async (stream) => {
    stream.end();
    for await (const _ of stream);
    await server.end();
  }).listen(name);
  await server.ready;
  console.log("listening");
} else {
  const stream = StreamClient(relay).connect(name);
  stream.resume();
  await stream.opened;
  const start = performance.now();
  const writer = stream.writable.getWriter();
  const chunk = new Uint8Array(65_536).fill(7);
  for (let sent = 0; sent < Number(bytes); sent += chunk.byteLength) await writer.write(chunk);
  await writer.close();
  console.log(performance.now() - start);
}
