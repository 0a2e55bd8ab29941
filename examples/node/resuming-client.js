/** Like client.js, but the stream outlives its connections. */
import { parseArgs } from "node:util";
import grpc from "@grpc/grpc-js";
import { Endpoint } from "./endpoint.js";
import { chunks, lines, write } from "./input.js";
import { describeError } from "./relay.js";
import { ResumingStream } from "./resuming-stream.js";

const { values, positionals } = parseArgs({ allowPositionals: true, options: { binary: { type: "boolean" } } });
const [address, name, password] = positionals;
if (name === undefined) {
  console.error("usage: node resuming-client.js RELAY NAME [PASSWORD] [--binary]");
  process.exit(2);
}

async function send(stream) {
  await stream.write(Buffer.from("hello from grpc-js"), true);
  for await (const data of values.binary ? chunks(process.stdin) : lines(process.stdin)) {
    await stream.write(data, !values.binary);
  }
  stream.finish();
}

const metadata = password === undefined ? {} : { password };
const stream = new ResumingStream(address, "Connect", new Endpoint({ name, metadata }));
let interrupted = false;
process.once("SIGINT", async () => {
  interrupted = true;
  await stream.reset(grpc.status.CANCELLED, "interrupted");
  process.exit(130);
});
send(stream).catch(() => {}); // Standard input is closed when the stream is over.
try {
  for await (const { data, text } of stream) {
    await write(text && values.binary ? process.stderr : process.stdout, text ? `${data}\n` : data);
  }
  await stream.close();
} catch (error) {
  if (!interrupted) console.error(...describeError(error));
  process.exitCode = interrupted ? 130 : 1;
}
process.stdin.destroy();
