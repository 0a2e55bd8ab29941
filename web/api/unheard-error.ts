import { nameOf, type StreamError } from "../../stream/error/stream-error.js";

/** Shows a line to the person who runs the program: on the console of a page, on standard error in Node. */
export type ShowLine = (line: string, error: StreamError) => void;

/**
 * One line about an error that nobody listens for: the failure's name, the stream or the server, the reason, and the
 * relay's URL where it is known. The reason may be the peer's, so control characters in it are left out.
 */
export function unheardLine(what: string, error: StreamError, relayUrl: string | undefined): string {
  const { failure, code, message } = error;
  const where = relayUrl === undefined || message.includes(relayUrl) ? "" : ` (relay ${relayUrl})`;
  const line = `browser-stream-server: ${what} failed: ${nameOf(failure, code)}: ${message}${where}`;
  return line.replace(/[\p{C}\p{Zl}\p{Zp}]+/gu, " ");
}
