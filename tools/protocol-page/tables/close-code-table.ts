import { Code } from "@connectrpc/connect";
import { codeToString } from "@connectrpc/connect/protocol-connect";
import { closeError, closeFrame, serviceRestart } from "../../../link/packet/close-code.js";
import { StreamError } from "../../../stream/error/stream-error.js";
import { code, table } from "./markdown.js";

/** The sender of each close code, and its reason, in the words of the page. */
const reasons: Readonly<Record<number, string>> = {
  1000: "either side: a goodbye. The link is not needed any more, or its page was left",
  1002: "either side: what RFC 6455 does not allow",
  1003: "the relay: a message that is text",
  1007: "the relay: bytes that are no `LinkMessage`",
  1008: "the relay: a message in too many fragments, or pieces",
  1009: "the relay: a message that is too large",
  1011: "a proxy, or a server that the relay is a part of, failed",
  1012: "the relay: it goes away",
  4003: "the client: on an open link text, or bytes that are no `LinkMessage`",
  4008: "the relay: it holds too many links. Either side: the other one does not read",
  4014: "either side: the other one is silent. The client: what answers opens no link",
};

const statusCodes = Object.values(Code).filter((each): each is Code => typeof each === "number");
const standardCloseCodes = Array.from({ length: 16 }, (_, at) => 1000 + at);

/** The close codes, in both directions, that do not mean a lost connection. Throws if the table lacks one of them. */
export function closeCodeTable(): string {
  const read = standardCloseCodes.filter((closeCode) => statusOf(closeCode) !== Code.Unavailable);
  // A close code is 4,000 and the status code, except for a goodbye.
  const byStatus = statusCodes.map((status) => closeFrame(new StreamError("", { code: status })).code);
  const written = [...byStatus, serviceRestart];
  const untold = read.filter((closeCode) => reasons[closeCode] === undefined);
  const unheard = Object.keys(reasons).filter((closeCode) => ![...read, ...written].includes(Number(closeCode)));
  const unread = statusCodes.filter((status) => statusOf(4000 + status) !== status);
  if (unread.length > 0) throw new Error(`status codes that no close code says: ${unread}`);
  if (untold.length + unheard.length > 0) throw new Error(`close codes without a row: ${[...untold, ...unheard]}`);
  return table(
    ["close code", "the link's status code", "who says it, and why"],
    [
      ...Object.entries(reasons).map(([closeCode, reason]) => row(closeCode, statusOf(Number(closeCode)), reason)),
      ["4001 to 4016", "what is over 4,000", "either side: whatever a status code can say"],
      row("any other, or none", statusOf(1006), "a connection that broke. Browsers close with 1001 by themselves"),
    ],
  );
}

/** The status code that a link ends with when its WebSocket is closed with this code. */
function statusOf(closeCode: number): Code {
  return closeError(closeCode, "").code;
}

function row(closeCode: string, status: Code, reason: string): string[] {
  return [closeCode, `${code(codeToString(status))} ${status}`, reason];
}
