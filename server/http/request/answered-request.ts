import type { NodeResponse } from "../node-server.js";
import { closeTimeoutMs } from "../open-responses.js";

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
