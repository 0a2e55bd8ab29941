import { constants } from "node:http2";
import type { NodeResponse } from "../node-server.js";
import { closeTimeoutMs } from "../open-responses.js";

/**
 * Ends a request whose answer was written, of which there may be more to come. A stream of HTTP/2 is reset without an
 * error, which tells its client that the rest is not wanted. RFC 9113, section 8.1.
 */
export function endUnfinished(response: NodeResponse): void {
  if (!("stream" in response)) return closeIfUnfinished(response);
  const { stream, req: request } = response;
  // Node keeps a stream that its client has reset without an error until its body is read to the end.
  stream.once("aborted", () => request.resume());
  const end = () => {
    if (!request.complete && !stream.destroyed) stream.close(constants.NGHTTP2_NO_ERROR);
  };
  // Node sends the trailers in a turn that was asked for before this one.
  stream.once("wantTrailers", () => setImmediate(end));
  // A body may be finished before its trailers are asked for. An answer without a body has ended with its head.
  stream.once("finish", () =>
    setImmediate(() => {
      if (!stream.destroyed && stream.state.localClose === 1) end();
    }),
  );
}

/**
 * Closes the connection of a request of HTTP/1.1 whose body still comes {@link closeTimeoutMs} after its response has
 * ended. Node itself reads and drops such a body for 300 s.
 */
export function closeIfUnfinished(response: NodeResponse): void {
  if ("stream" in response) return;
  response.once("finish", () => {
    const { req: request } = response;
    const { socket } = request;
    if (request.complete || socket.destroyed) return;
    const deadline = setTimeout(() => request.destroy(), closeTimeoutMs);
    // A connection that the server ends may take the request with it without a word.
    const stop = () => {
      clearTimeout(deadline);
      request.off("close", stop);
      socket.off("close", stop);
    };
    request.once("close", stop);
    socket.once("close", stop);
  });
}

/** Ends a request, of which there may be more to come, when its response is written. */
export function dropRequest(response: NodeResponse): void {
  if (!("stream" in response)) return void response.once("finish", () => response.req.destroy());
  const { stream } = response;
  // Node sends the trailers, and the error in them, in a turn that was asked for before this one.
  stream.once("wantTrailers", () => setImmediate(() => stream.close()));
}

/** Ends the stream of a request, or its connection of HTTP/1.1. */
export function refuseSilently(response: NodeResponse): void {
  if ("stream" in response) response.stream.close(constants.NGHTTP2_REFUSED_STREAM);
  else response.destroy();
}
