import { Failure, Hop, StreamError } from "../../web/node.js";
import { visibleText } from "../../web/operator/visible-text.js";

/** The program as people type it, in front of what it says to them. */
export const programName = "bss";

/** The user and the password of a URL, which may have come into a text from the command line or from the other side. */
const credentials = /(?<=:\/\/)\S*@/g;

/** Says one line to the person, on standard error, where it does not mix with standard output. No password is in it. */
export function notice(text: string): void {
  process.stderr.write(`${programName}: ${visibleText(text).replace(credentials, "…@")}\n`);
}

/** Returns the words for an error. Words of the peer are marked as the peer's. */
export function wordsFor(reason: unknown): string {
  const message = messageOf(reason);
  if (!(reason instanceof StreamError)) return message;
  if (reason.failure === Failure.DECLINED) return `declined: ${message}`;
  const peer = "the other side";
  return reason.hop === Hop.PEER && !message.startsWith(peer) ? `${peer}: ${message}` : message;
}

/**
 * The message of an error or, if it has none, of the errors behind it: a host may have refused at each of its
 * addresses.
 */
function messageOf(reason: unknown): string {
  if (!(reason instanceof Error)) return String(reason);
  if (reason.message !== "") return reason.message;
  if (reason instanceof AggregateError && reason.errors.length > 0) return reason.errors.map(messageOf).join(", ");
  return (reason as NodeJS.ErrnoException).code ?? reason.name;
}
