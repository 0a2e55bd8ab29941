import type { NodeResponse } from "./node-server.js";
import { closeTimeoutMs } from "./open-responses.js";

/**
 * Closes the connection of a request of HTTP/1.1 whose body still comes {@link closeTimeoutMs} after its response has
 * ended. Node itself reads and drops such a body for 300 s.
 */
export function closeIfUnfinished(response: NodeResponse): void {
  if ("stream" in response) return;
  response.once("finish", () => {
    const { req: request } = response;
    if (request.complete) return;
    const deadline = setTimeout(() => request.destroy(), closeTimeoutMs);
    request.once("close", () => clearTimeout(deadline));
  });
}
