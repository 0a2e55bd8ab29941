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

export const createRelay = (address) => new RelayService(address, grpc.credentials.createInsecure());

const codeName = (code) => (grpc.status[code] ?? "UNKNOWN").toLowerCase();

/** The status code, the protocol's own failure, and a message for a person. */
export function describeError(error) {
  const [bytes] = error.metadata?.get("grpc-status-details-bin") ?? [];
  // gRPC's own message has characters escaped that grpc-js leaves as they are.
  const { message, details } = bytes
    ? Status.deserialize(bytes)
    : { message: error.details ?? error.message, details: [] };
  const detail = details.find(({ type_url }) => type_url.endsWith("/streamserver.v1.FailureDetail"));
  const { failure } = FailureDetail.deserialize(detail?.value ?? Buffer.alloc(0));
  return [codeName(error.code), failure, message];
}

/** The same of a frame's `reset`. */
export const describeReset = ({ code, failure, reason }) => [codeName(code), failure, reason];
