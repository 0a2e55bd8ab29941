import type { NodeRequest, NodeResponse } from "./node-server.js";

/** The bytes in Node's buffers: those of the request that nobody has read, and those of its response. */
export function waitingBytes(request: NodeRequest, response: NodeResponse): number {
  const { readableLength } = "stream" in request ? request.stream : request;
  return readableLength + unsentBytes(response);
}

/** The bytes of a response in Node's buffers. */
export function unsentBytes(response: NodeResponse): number {
  return ("stream" in response ? response.stream : response).writableLength;
}
