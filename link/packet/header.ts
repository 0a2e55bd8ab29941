import { create } from "@bufbuild/protobuf";
import { Failure } from "../../gen/streamserver/v1/failure_pb.js";
import { type Header, HeaderSchema } from "../../gen/streamserver/v1/link_pb.js";
import { StreamError } from "../../stream/error/stream-error.js";

/** The default limit of Node's HTTP server. A channel keeps its head as long as it lives. */
export const maxHeadBytes = 16_384;

/** Bytes that a header counts for beside its characters. */
export const headerOverheadBytes = 32;

export function headersToWire(headers: Iterable<[string, string]> | undefined): Header[] {
  return [...(headers ?? [])].map(([name, value]) => create(HeaderSchema, { name, value }));
}

/** Throws FAILURE_PROTOCOL_VIOLATION for what HTTP does not know. */
export function headersFromWire(headers: readonly Header[]): Headers {
  const result = new Headers();
  try {
    for (const { name, value } of headers) result.append(name, value);
  } catch (cause) {
    throw new StreamError("a header that HTTP does not know", { failure: Failure.PROTOCOL_VIOLATION, cause });
  }
  return result;
}

/** The bytes that headers count for. RFC 9113, section 6.5.2, SETTINGS_MAX_HEADER_LIST_SIZE. */
export function headBytes(headers: readonly Header[]): number {
  return headers.reduce((bytes, { name, value }) => bytes + name.length + value.length + headerOverheadBytes, 0);
}
