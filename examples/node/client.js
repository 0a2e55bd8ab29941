/** Connects to a name, sends standard input there, and prints what comes back. */
import { parseArgs } from "node:util";
import { chunks, lines, write } from "./input.js";
import { createRelay, describeError, describeReset } from "./relay.js";

const messageCost = 16; // of each message, beside its data

const { values, positionals } = parseArgs({ allowPositionals: true, options: { binary: { type: "boolean" } } });
const [address, name, password] = positionals;
if (name === undefined) {
  console.error("usage: node client.js RELAY NAME [PASSWORD] [--binary]");
  process.exit(2);
}

function* parts(data, maxBytes) {
  let start = 0;
  for (; data.length - start > maxBytes; start += maxBytes) {
    yield { data: data.subarray(start, start + maxBytes), more: true };
  }
  yield { data: data.subarray(start) };
}

async function send(call, { max_frame_bytes }) {
  let sequence = 0;
  const sendMessage = async (data, text) => {
    for (const part of parts(data, max_frame_bytes - messageCost)) {
      await write(call, { frame: { sequence: ++sequence, messages: [{ ...part, text }] } });
    }
  };
  await sendMessage(Buffer.from("hello from grpc-js"), true);
  for await (const data of values.binary ? chunks(process.stdin) : lines(process.stdin)) {
    await sendMessage(data, !values.binary);
  }
  call.write({ frame: { sequence: ++sequence, fin: true } });
  call.end();
}

/** Returns the other side's reset, if that is how it ends. */
async function receive(call) {
  let limits;
  let received = [];
  for await (const { opened, accepted, frame } of call) {
    if (opened) limits = opened.limits;
    else if (accepted) send(call, limits).catch(() => call.cancel());
    if (frame?.reset) return frame.reset;
    for (const message of frame?.messages ?? []) {
      received.push(message);
      if (message.more) continue;
      const [{ text }] = received;
      const data = Buffer.concat(received.map((part) => part.data));
      await write(text && values.binary ? process.stderr : process.stdout, text ? `${data}\n` : data);
      received = [];
    }
  }
}

const relay = createRelay(address);
const call = relay.Connect();
let interrupted = false;
process.once("SIGINT", () => {
  interrupted = true;
  call.cancel();
});
call.write({ open: { name, metadata: password === undefined ? {} : { password } } });
let failure;
try {
  const reset = await receive(call);
  if (reset) failure = describeReset(reset);
} catch (error) {
  failure = describeError(error);
}
if (failure && !interrupted) console.error(...failure);
process.exitCode = interrupted ? 130 : failure ? 1 : 0;
call.cancel();
process.stdin.destroy();
relay.close();
