import type { NodeRequest, NodeResponse } from "./node-server.js";
import { pathOf } from "./request/request-urls.js";

type RequestHandler = (request: NodeRequest, response: NodeResponse) => void;

/**
 * Answers the probes of supervisors and load balancers, and leaves other requests to `next`.
 *
 * - `/healthz`: 200 as long as the process answers at all. One that does not should be started anew.
 * - `/readyz`: 200 if `isReady` returns true, and 503 if not. Then new callers should be sent elsewhere.
 */
export function answerProbes(isReady: () => boolean, next: RequestHandler): RequestHandler {
  return (request, response) => {
    const path = pathOf(request.url ?? "");
    if (path === "/healthz") answer(request, response, true, "alive");
    else if (path === "/readyz") answer(request, response, isReady(), isReady() ? "ready" : "draining");
    else next(request, response);
  };
}

function answer({ method }: NodeRequest, response: NodeResponse, isWell: boolean, word: string): void {
  const isRead = method === "GET" || method === "HEAD";
  if (!isRead) response.setHeader("allow", "GET, HEAD");
  response.setHeader("content-type", "text/plain; charset=utf-8");
  response.setHeader("cache-control", "no-store");
  response.statusCode = !isRead ? 405 : isWell ? 200 : 503;
  // Node itself leaves the body out of an answer to HEAD.
  response.end(isRead ? `${word}\n` : "");
}
