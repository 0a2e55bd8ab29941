import { Code, Failure, StreamError } from "browser-stream-server";

/** An error as the programs write it: `permission_denied FAILURE_DECLINED`. */
export function failureWords({ code, failure }: StreamError): string {
  const codeInSnakeCase = (Code[code] ?? "unknown").replace(/(?!^)[A-Z]/g, "_$&").toLowerCase();
  return `${codeInSnakeCase} FAILURE_${Failure[failure]}`;
}

/** The words, and the message for a person after them. */
export function failureLine(reason: unknown): string {
  const error = StreamError.from(reason);
  return `${failureWords(error)} ${error.message}`;
}
