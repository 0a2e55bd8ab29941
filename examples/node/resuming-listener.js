/** Like listener.js, but its streams and its name outlive their connections. */
import { createHash } from "node:crypto";
import { setTimeout as sleep } from "node:timers/promises";
import { promisify } from "node:util";
import grpc from "@grpc/grpc-js";
import { capabilities, Endpoint, graceMsOf, isBreak } from "./endpoint.js";
import { describeError, eventsOf, RelayLost, statusOf } from "./relay.js";
import { backoffMs, connectRelay, ResumingStream } from "./resuming-stream.js";

const [address, name, password] = process.argv.slice(2);
if (name === undefined) {
  console.error("usage: node resuming-listener.js RELAY NAME [PASSWORD]");
  process.exit(2);
}

/** What says that a lease is over, and that its name may be claimed anew. */
const gone = ["FAILURE_LEASE_GONE", "FAILURE_TOKEN_INVALID"];

let lease = { generation: 0 };
let graceMs = 0;
/** The offers that were taken and have not ended. */
const streams = new Set();

async function callOnce(rpc, request) {
  const relay = connectRelay(address);
  try {
    await promisify(relay[rpc].bind(relay))(request);
  } finally {
    relay.close();
  }
}

async function decline({ stream_id, leg_token }) {
  await callOnce("Reject", { stream_id, leg_token, code: grpc.status.PERMISSION_DENIED, reason: "wrong password" });
  console.log("declined");
}

async function echo({ stream_id, leg_token, capabilities: peer }) {
  const stream = new ResumingStream(address, "Accept", new Endpoint({ stream_id, leg_token }, { peer, graceMs }));
  await stream.write(Buffer.from("hello from grpc-js"), true);
  let count = 0;
  let bytes = 0;
  const hash = createHash("sha256");
  for await (const { data, text } of stream) {
    count++;
    bytes += data.length;
    hash.update(data);
    await stream.write(data, text);
  }
  await stream.write(Buffer.from(`${count} messages, ${bytes} bytes, sha256 ${hash.digest("hex")}`), true);
  stream.finish();
  await stream.close();
  console.log("ended");
}

async function take(offer) {
  if (streams.has(offer.stream_id)) return;
  streams.add(offer.stream_id);
  const wrong = password !== undefined && offer.metadata.password !== password;
  try {
    await (wrong ? decline(offer) : echo(offer));
  } catch (error) {
    console.log("ended", ...describeError(error).slice(0, 2));
  }
  streams.delete(offer.stream_id);
}

/** Returns how the call of Listen ended. Throws if it makes no sense to listen again. */
async function listenOnce() {
  let how = "not registered";
  if (lease.lease_id) lease.generation++;
  const relay = connectRelay(address);
  const call = relay.Listen({ name, capabilities, ...lease });
  try {
    for await (const { registered, offer, draining } of eventsOf(call)) {
      if (registered) {
        how = "registered";
        if (!lease.lease_id) console.log("listening");
        // Offers are taken at once, so there are none to forget that wait no more.
        lease = { ...lease, lease_id: registered.lease_id, lease_token: registered.lease_token };
        graceMs = graceMsOf(registered.limits);
      } else if (offer) take(offer);
      else if (draining) return "drained";
    }
    return "unlistened";
  } catch (error) {
    if (!lease.lease_id) throw error;
    if (error instanceof RelayLost) return how;
    const { detail } = statusOf(error);
    if (gone.includes(detail?.failure)) lease = { generation: 0 };
    else if (!isBreak(error.code, detail?.failure, false)) throw error;
    return how;
  } finally {
    call.cancel();
    relay.close();
  }
}

for (const signal of ["SIGINT", "SIGTERM"]) {
  process.on(signal, async () => {
    const { lease_id, lease_token } = lease;
    if (lease_id) await callOnce("Unlisten", { lease_id, lease_token }).catch(() => {});
    process.exit(130);
  });
}
try {
  for (let tries = 0, how = ""; how !== "unlistened"; tries++) {
    how = await listenOnce();
    if (how === "registered") tries = 0;
    if (how !== "drained") await sleep(backoffMs(tries));
  }
} catch (error) {
  console.error(...describeError(error));
  process.exitCode = 1;
}
