import { Failure, Hop, StreamError } from "../web/node.js";
import { programName } from "./command.js";
import { visibleText } from "./visible-text.js";

/** Says one line to the person, on standard error, where it does not mix with what is piped. */
export function notice(text: string): void {
  process.stderr.write(`${programName}: ${visibleText(text)}\n`);
}

/** Why something failed, in words; what the other side says is said to be its. */
export function wordsFor(reason: unknown): string {
  const message = reason instanceof Error ? reason.message : String(reason);
  if (!(reason instanceof StreamError)) return message;
  if (reason.failure === Failure.DECLINED) return `declined: ${message}`;
  const peer = "the other side";
  return reason.hop === Hop.PEER && !message.startsWith(peer) ? `${peer}: ${message}` : message;
}
