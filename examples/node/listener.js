/** Listens on a name and sends every message of every client back to it. */
import { createHash } from "node:crypto";
import { once } from "node:events";
import { promisify } from "node:util";
import grpc from "@grpc/grpc-js";
import { createRelay, describeError, describeReset, eventsOf, RelayLost } from "./relay.js";

const [address, name, password] = process.argv.slice(2);
if (name === undefined) {
  console.error("usage: node listener.js RELAY NAME [PASSWORD]");
  process.exit(2);
}
const relay = createRelay(address);
const reject = promisify(relay.Reject.bind(relay));

async function decline({ stream_id, leg_token }) {
  await reject({ stream_id, leg_token, code: grpc.status.PERMISSION_DENIED, reason: "wrong password" });
  console.log("declined");
}

async function echo({ stream_id, leg_token }) {
  const call = relay.Accept();
  let sequence = 0;
  const send = async (content) => {
    // A client that does not read its echo is not read either.
    if (!call.write({ frame: { sequence: ++sequence, ...content } })) await once(call, "drain");
  };
  call.write({ open: { stream_id, leg_token } });
  await send({ messages: [{ data: Buffer.from("hello from grpc-js"), text: true }] });
  let count = 0;
  let bytes = 0;
  const hash = createHash("sha256");
  for await (const { frame } of call) {
    if (frame?.reset) {
      call.end();
      console.log("ended", ...describeReset(frame.reset).slice(0, 2));
      return;
    }
    for (const { data, more } of frame?.messages ?? []) {
      if (!more) count++;
      bytes += data.length;
      hash.update(data);
    }
    if (frame?.messages.length > 0) await send({ messages: frame.messages });
    if (frame?.fin) {
      const summary = `${count} messages, ${bytes} bytes, sha256 ${hash.digest("hex")}`;
      await send({ messages: [{ data: Buffer.from(summary), text: true }], fin: true });
      call.end();
    }
  }
  console.log("ended");
}

async function take(offer) {
  const wrong = password !== undefined && offer.metadata.password !== password;
  try {
    await (wrong ? decline(offer) : echo(offer));
  } catch (error) {
    console.log("ended", ...describeError(error).slice(0, 2));
  }
}

for (const signal of ["SIGINT", "SIGTERM"]) process.on(signal, () => process.exit(130));
try {
  for await (const { event, offer } of eventsOf(relay.Listen({ name }))) {
    if (event === "registered") console.log("listening");
    else if (event === "offer") take(offer);
  }
} catch (error) {
  console.error(...describeError(error));
  if (error instanceof RelayLost) process.exit(1); // Nothing more comes on its streams either.
  process.exitCode = 1;
}
relay.close();
