import { toBinary } from "@bufbuild/protobuf";
import { Failure } from "../../../gen/streamserver/v1/failure_pb.js";
import { type Capabilities, CapabilitiesSchema } from "../../../gen/streamserver/v1/relay_pb.js";
import { StreamError } from "../../../stream/error/stream-error.js";

/** Capabilities of one endpoint, encoded. All that exist take less than 20 bytes; 1,024 leave room for later ones. */
export const maxCapabilitiesBytes = 1_024;

/** Capabilities are passed on whole, with fields that this relay does not know, and kept as long as the stream. */
export function checkCapabilities(capabilities: Capabilities | undefined): void {
  if (capabilities === undefined) return;
  const { byteLength } = toBinary(CapabilitiesSchema, capabilities);
  if (byteLength <= maxCapabilitiesBytes) return;
  const message = `the capabilities take ${byteLength} bytes, more than ${maxCapabilitiesBytes}`;
  throw new StreamError(message, { failure: Failure.FRAME_TOO_LARGE });
}
