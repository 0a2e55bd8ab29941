/** The relay as a gRPC client, and what its errors say. */
import { fileURLToPath } from "node:url";
import grpc from "@grpc/grpc-js";
import { loadSync } from "@grpc/proto-loader";

const path = (relative) => fileURLToPath(new URL(relative, import.meta.url));
const definition = loadSync(["streamserver/v1/relay.proto", path("status.proto")], {
  includeDirs: [path("../../proto")],
  keepCase: true,
  longs: Number,
  enums: String,
  defaults: true,
  oneofs: true,
});
const { RelayService } = grpc.loadPackageDefinition(definition).streamserver.v1;
const Status = definition["google.rpc.Status"];
const FailureDetail = definition["streamserver.v1.FailureDetail"];

const heartbeatMs = 15_000; // the default of relays, until one has said otherwise
const heartbeatsUntilLost = 2.5;

/**
 * Asks every 15 s whether a silent connection is still there, and gives it up 22.5 s later: two and a half heartbeats.
 */
const keepalive = {
  "grpc.keepalive_time_ms": heartbeatMs,
  "grpc.keepalive_timeout_ms": heartbeatMs * (heartbeatsUntilLost - 1),
};

export const createRelay = (address, options) =>
  new RelayService(address, grpc.credentials.createInsecure(), { ...keepalive, ...options });

/** Yields what comes on Listen. Throws when nothing comes for two and a half of the relay's heartbeats. */
export async function* eventsOf(call) {
  let silenceMs = heartbeatMs * heartbeatsUntilLost;
  let isLost = false;
  const onSilence = () => {
    isLost = true;
    call.cancel();
  };
  let silence = setTimeout(onSilence, silenceMs);
  try {
    for await (const event of call) {
      clearTimeout(silence);
      if (event.registered) silenceMs = event.registered.heartbeat_interval_ms * heartbeatsUntilLost;
      silence = setTimeout(onSilence, silenceMs);
      yield event;
    }
  } catch (error) {
    throw isLost ? new RelayLost() : error;
  } finally {
    clearTimeout(silence);
  }
}

export class RelayLost extends Error {
  code = grpc.status.UNAVAILABLE;
  failure = "FAILURE_LEG_LOST";
  message = "the relay is silent";
}

const codeName = (code) => (grpc.status[code] ?? "UNKNOWN").toLowerCase();

/** The status code, the protocol's own failure, and a message for a person. */
export function describeError(error) {
  if (error.failure) return [codeName(error.code), error.failure, error.message]; // It is no error of a call.
  const { message, detail } = statusOf(error);
  return [codeName(error.code), detail?.failure ?? "FAILURE_UNSPECIFIED", message];
}

/** The message of a call's error, and its FailureDetail, if it has one. */
export function statusOf(error) {
  const [bytes] = error.metadata?.get("grpc-status-details-bin") ?? [];
  // gRPC's own message has characters escaped that grpc-js leaves as they are.
  const { message, details } = bytes
    ? Status.deserialize(bytes)
    : { message: error.details ?? error.message, details: [] };
  const packed = details.find(({ type_url }) => type_url.endsWith("/streamserver.v1.FailureDetail"));
  return { message, detail: packed && FailureDetail.deserialize(packed.value) };
}

/** The status code, the failure and the message of a frame's `reset`. */
export const describeReset = ({ code, failure, reason }) => [codeName(code), failure, reason];

/** A message of the protocol, to make bytes of it and back. */
export const messageType = (name) => definition[`streamserver.v1.${name}`];
