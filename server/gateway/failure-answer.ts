import { Code } from "@connectrpc/connect";
import { Failure, Hop } from "../../gen/streamserver/v1/failure_pb.js";
import type { StreamError } from "../../stream/error/stream-error.js";
import type { NodeRequest, NodeResponse } from "../http/node-server.js";
import { errorIdOf } from "../relay/error-id.js";

/** The answer to a call that failed. */
interface FailureAnswer {
  status: number;
  /** For a person. Says nothing in the words of the listener, who is a stranger. */
  words: string;
  /** When to try again, in seconds, where that is worth it. */
  retryAfterSeconds?: number;
}

/** A listener that is loaded again is back within this time. */
const retryAfterSeconds = 2;

const answersByFailure: Readonly<Partial<Record<Failure, FailureAnswer>>> = {
  [Failure.NO_SUCH_NAME]: { status: 503, words: "Nobody listens on this name now.", retryAfterSeconds },
  [Failure.NAME_INVALID]: { status: 404, words: "No listener can have this name." },
  [Failure.DECLINED]: { status: 403, words: "The listener has declined." },
  [Failure.NOT_ACCEPTED_IN_TIME]: { status: 504, words: "The listener has not accepted in time." },
  [Failure.LISTENER_GONE]: { status: 502, words: "The listener has gone." },
  [Failure.LEG_LOST]: { status: 502, words: "The connection to the listener is lost." },
  [Failure.PEER_CANCELED]: { status: 502, words: "The listener has given the call up." },
  [Failure.LIMIT_REACHED]: { status: 503, words: "There is no room for the call now.", retryAfterSeconds },
  [Failure.MESSAGE_TOO_LARGE]: { status: 502, words: "The listener has sent more than fits." },
  [Failure.FRAME_TOO_LARGE]: { status: 431, words: "The head of the request is too large." },
  [Failure.NOT_PERMITTED]: { status: 403, words: "The relay does not permit this." },
  [Failure.DRAINING]: { status: 503, words: "The server is going away.", retryAfterSeconds },
};

const answersByCode: Readonly<Partial<Record<Code, FailureAnswer>>> = {
  [Code.DeadlineExceeded]: { status: 504, words: "The listener has not answered in time." },
  [Code.Unimplemented]: { status: 502, words: "The listener is no HTTP server." },
  [Code.ResourceExhausted]: { status: 503, words: "The listener has no room for the call now.", retryAfterSeconds },
};

const otherAnswer: FailureAnswer = { status: 502, words: "The listener has failed." };

/** The answer to a call that failed with an error. */
export function failureAnswer(error: StreamError): FailureAnswer {
  const { failure, code, limit } = error;
  const answer = answersByFailure[failure] ?? answersByCode[code] ?? otherAnswer;
  if (failure === Failure.NOT_PERMITTED && code === Code.Unauthenticated) return { ...answer, status: 401 };
  if (failure === Failure.NOT_PERMITTED && code === Code.Unavailable)
    return { ...answer, status: 503, retryAfterSeconds };
  if (failure === Failure.DECLINED && code === Code.FailedPrecondition) return { ...answer, status: 502 };
  if (limit !== undefined && limit.retryAfterMs > 0) {
    const isOfCaller = limit.name.endsWith("PerCaller");
    return {
      ...answer,
      status: isOfCaller ? 429 : answer.status,
      retryAfterSeconds: Math.ceil(limit.retryAfterMs / 1_000),
    };
  }
  return answer;
}

/** Answers a request that failed, so that programs can read how, and people too. Throws nothing. */
export function answerFailure(request: NodeRequest, response: NodeResponse, error: StreamError): void {
  const { status, words, retryAfterSeconds: seconds } = failureAnswer(error);
  const { failure, hop, code, message } = error;
  const id = errorIdOf(error);
  const facts = [
    `failure=${(Failure[failure] ?? "unspecified").toLowerCase()}`,
    `hop=${(Hop[hop] ?? "unspecified").toLowerCase()}`,
    `code=${snakeCase(Code[code] ?? "unknown")}`,
    ...(id === undefined ? [] : [`id="${id}"`]),
  ];
  response.setHeader("stream-error", facts.join(", "));
  if (seconds !== undefined) response.setHeader("retry-after", String(seconds));
  if (status === 401) response.setHeader("www-authenticate", 'Bearer realm="relay"');
  // The words of a peer are a stranger's.
  const detail = hop === Hop.PEER ? "" : message;
  if (/^application\/grpc(\+|$)/.test(request.headers["content-type"] ?? "")) {
    return answerGrpc(response, status, [words, detail].filter((each) => each !== "").join(" "));
  }
  answerPlainly(request, response, status, words, detail);
}

/** The codes of gRPC for statuses of HTTP. gRPC's own table says nothing of 431, and calls a 504 unavailable. */
const grpcCodes: Readonly<Record<number, Code>> = {
  401: Code.Unauthenticated,
  403: Code.PermissionDenied,
  404: Code.Unimplemented,
  431: Code.ResourceExhausted,
  504: Code.DeadlineExceeded,
};

/** Answers a call of gRPC, whose clients tell nobody what the body of another answer says. */
function answerGrpc(response: NodeResponse, status: number, message: string): void {
  response.statusCode = 200;
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
  response.statusCode = status;
  response.setHeader("content-type", `text/${isForPerson ? "html" : "plain"}; charset=utf-8`);
  response.setHeader("cache-control", "no-store");
  response.setHeader("x-content-type-options", "nosniff");
  response.setHeader("content-security-policy", "default-src 'none'; sandbox");
  const lines = [words, ...(detail === "" ? [] : [detail])];
  response.end(isForPerson ? page(status, lines) : `${lines.join("\n")}\n`);
}

function page(status: number, lines: readonly string[]): string {
  const paragraphs = lines.map((line) => `<p>${escaped(line)}</p>`).join("\n");
  return `<!doctype html>\n<html lang="en">\n<meta charset="utf-8">\n<title>${status}</title>\n<h1>${status}</h1>\n${paragraphs}\n`;
}

function escaped(text: string): string {
  return text.replace(/[&<>"']/g, (character) => `&#${character.charCodeAt(0)};`);
}

function snakeCase(word: string): string {
  return word.replace(/(?!^)[A-Z]/g, "_$&").toLowerCase();
}
