import type { NodeRequest, NodeResponse } from "./node-server.js";

/** The bytes in Node's buffers: those of the request that nobody has read, and those of its response. */
export function waitingBytes(request: NodeRequest, response: NodeResponse): number {
  if ("stream" in response) return response.stream.readableLength + response.stream.writableLength;
  return request.readableLength + response.writableLength;
}
