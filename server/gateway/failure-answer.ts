import { constants } from "node:http2";
import { Code } from "@connectrpc/connect";
import { Failure, Hop } from "../../gen/streamserver/v1/failure_pb.js";
import type { StreamError } from "../../stream/error/stream-error.js";
import { retireSession } from "../http/http2-sessions.js";
import { isExpecting } from "../http/install.js";
import type { NodeRequest, NodeResponse } from "../http/node-server.js";
import { isEncrypted } from "../http/request/request-urls.js";
import { errorIdOf } from "../relay/error-id.js";

/** The answer to a call that failed. */
export interface FailureAnswer {
  status: number;
  /** For a person. Says nothing in the words of the listener, who is a stranger. */
  words: string;
  /** When to try again, in seconds, where that is worth it. */
  retryAfterSeconds?: number;
}

/** A page that is loaded again listens again within this time. */
const retryAfterSeconds = 2;

/** The answers to the protocol's own failures. `docs/gateway.md` has them as a table. */
const answersByFailure: Readonly<Partial<Record<Failure, FailureAnswer>>> = {
  [Failure.NO_SUCH_NAME]: { status: 503, words: "Nobody listens on this name now.", retryAfterSeconds },
  [Failure.NAME_INVALID]: { status: 404, words: "No listener can have this name." },
  [Failure.NOT_ACCEPTED_IN_TIME]: { status: 504, words: "The listener has not accepted in time." },
  [Failure.LISTENER_GONE]: { status: 502, words: "The listener has gone." },
  [Failure.LEG_LOST]: { status: 502, words: "The connection to the listener is lost." },
  [Failure.PEER_CANCELED]: { status: 502, words: "The listener has given the call up." },
  [Failure.LIMIT_REACHED]: { status: 503, words: "There is no room for the call now.", retryAfterSeconds },
  [Failure.MESSAGE_TOO_LARGE]: { status: 413, words: "The body of the request is too large." },
  [Failure.FRAME_TOO_LARGE]: { status: 431, words: "The head of the request is too large." },
  [Failure.DRAINING]: { status: 503, words: "The server is going away.", retryAfterSeconds },
};

/** The answers to refusals: by the relay's policy, and of a listener that declines. */
const answersByRefusal: Readonly<Partial<Record<Code, FailureAnswer>>> = {
  [Code.PermissionDenied]: { status: 403, words: "The call is not permitted." },
  [Code.Unauthenticated]: { status: 401, words: "The call needs an access token." },
  [Code.ResourceExhausted]: { status: 503, words: "There is no room for the call now.", retryAfterSeconds },
  [Code.Unavailable]: { status: 503, words: "The call is not possible now.", retryAfterSeconds },
};

/** The answers to what else may befall a call. */
const answersByCode: Readonly<Partial<Record<Code, FailureAnswer>>> = {
  [Code.DeadlineExceeded]: { status: 504, words: "The listener has not answered in time." },
  [Code.Unimplemented]: { status: 502, words: "The listener is no HTTP server." },
  [Code.ResourceExhausted]: { status: 503, words: "The listener has no room for the call now.", retryAfterSeconds },
};

const otherAnswer: FailureAnswer = { status: 502, words: "The listener has failed." };

/** Returns the answer to a call that failed with an error. */
export function failureAnswer({ failure, hop, code, limit }: StreamError): FailureAnswer {
  if (failure === Failure.NOT_PERMITTED)
    return answersByRefusal[code] ?? { status: 403, words: "The call is not permitted." };
  if (failure === Failure.DECLINED)
    return answersByRefusal[code] ?? { status: 502, words: "The listener has declined." };
  // A message that is too large between the relay and the listener is no fault of the request, and trying again does not help.
  const isPeers = failure === Failure.MESSAGE_TOO_LARGE && hop !== Hop.CALLER;
  const answer = isPeers ? otherAnswer : (answersByFailure[failure] ?? answersByCode[code] ?? otherAnswer);
  if (limit === undefined || limit.retryAfterMs === 0) return answer;
  const status = limit.name.endsWith("PerCaller") ? 429 : answer.status;
  return { ...answer, status, retryAfterSeconds: Math.ceil(limit.retryAfterMs / 1_000) };
}

/** Answers a request that failed; an answer that has begun is cut off, so that its reader notices. */
export function endFailed(request: NodeRequest, response: NodeResponse, error: StreamError): void {
  if (!response.headersSent) answerFailure(request, response, error);
  else cutOff(request, response);
}

/** Cuts off an answer that has begun. */
export function cutOff(request: NodeRequest, response: NodeResponse): void {
  if ("stream" in response) response.stream.close(constants.NGHTTP2_INTERNAL_ERROR);
  // Where the end of the connection is that of the body, only a reset tells that the body is not whole.
  else if (request.httpVersion === "1.0" && canBeReset(request)) request.socket.resetAndDestroy();
  else response.destroy();
}

/** Whether a connection is one of TCP. Node throws for the reset of another one, such as that of a local socket. */
function canBeReset(request: NodeRequest): boolean {
  return !isEncrypted(request) && request.socket.remoteFamily !== undefined;
}

/** Answers a request that failed, so that programs can read how, and people too. */
export function answerFailure(request: NodeRequest, response: NodeResponse, error: StreamError): void {
  const { status, words, retryAfterSeconds: seconds } = failureAnswer(error);
  const { failure, hop, code, message } = error;
  const id = errorIdOf(error);
  const facts = [
    `failure=${(Failure[failure] ?? "unspecified").toLowerCase()}`,
    `hop=${(Hop[hop] ?? "unspecified").toLowerCase()}`,
    `code=${(Code[code] ?? "unknown").replace(/(?!^)[A-Z]/g, "_$&").toLowerCase()}`,
    ...(id === undefined ? [] : [`id="${id}"`]),
  ];
  response.setHeader("stream-error", facts.join(", "));
  if (seconds !== undefined) response.setHeader("retry-after", String(seconds));
  if (status === 401) response.setHeader("www-authenticate", 'Bearer realm="relay"');
  // The relay's address may lead to another one by now.
  if (failure === Failure.DRAINING && hop === Hop.RELAY) leave(response);
  // The words of a peer are a stranger's.
  const detail = hop === Hop.PEER ? "" : message;
  if (/^application\/grpc(\+|$)/.test(request.headers["content-type"] ?? "")) {
    return answerGrpc(response, status, [words, detail].filter((each) => each !== "").join(" "));
  }
  answerPlainly(request, response, status, words, detail);
}

/**
 * The codes of gRPC for statuses of HTTP. gRPC's own table says nothing of 413 and 431, and calls 429 and 504
 * unavailable.
 */
const grpcCodes: Readonly<Record<number, Code>> = {
  401: Code.Unauthenticated,
  403: Code.PermissionDenied,
  404: Code.Unimplemented,
  413: Code.ResourceExhausted,
  429: Code.ResourceExhausted,
  431: Code.ResourceExhausted,
  504: Code.DeadlineExceeded,
};

/** Sets a status with its own text, whatever middleware, or a head that Node has thrown for, has left there. */
export function setStatus(response: NodeResponse, status: number): void {
  response.statusCode = status;
  // HTTP/2 has no text, and Node warns of one. With an empty one Node takes that of the status.
  if (!("stream" in response)) response.statusMessage = "";
}

/** Answers a call of gRPC, whose clients tell nobody what the body of another answer says. */
function answerGrpc(response: NodeResponse, status: number, message: string): void {
  setStatus(response, 200);
  response.setHeader("content-type", "application/grpc");
  response.setHeader("grpc-status", String(grpcCodes[status] ?? Code.Unavailable));
  response.setHeader("grpc-message", encodeURI(message));
  response.end();
}

/** Answers a request for the gateway without a listener. */
export function answerPlainly(
  request: NodeRequest,
  response: NodeResponse,
  status: number,
  words: string,
  detail = "",
): void {
  const isForPerson = /\btext\/html\b/i.test(String(request.headers.accept ?? ""));
  setStatus(response, status);
  response.setHeader("content-type", `text/${isForPerson ? "html" : "plain"}; charset=utf-8`);
  response.setHeader("cache-control", "no-store");
  response.setHeader("x-content-type-options", "nosniff");
  response.setHeader("content-security-policy", "default-src 'none'; sandbox");
  // Its body may come all the same, or never. RFC 9110, section 10.1.1.
  if (isExpecting(request)) leave(response);
  const lines = [words, ...(detail === "" ? [] : [detail])];
  response.end(isForPerson ? page(status, lines) : `${lines.join("\n")}\n`);
}

/** Has the caller make its next request on another connection. */
function leave(response: NodeResponse): void {
  if ("stream" in response) retireSession(response);
  else response.setHeader("connection", "close");
}

function page(status: number, lines: readonly string[]): string {
  const paragraphs = lines.map((line) => `<p>${escaped(line)}</p>\n`).join("");
  const head = `<!doctype html>\n<html lang="en">\n<meta charset="utf-8">\n<title>${status}</title>\n`;
  return `${head}<h1>${status}</h1>\n${paragraphs}`;
}

function escaped(text: string): string {
  return text.replace(/[&<>"']/g, (character) => `&#${character.charCodeAt(0)};`);
}
