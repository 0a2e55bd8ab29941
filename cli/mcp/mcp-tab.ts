import { type JsonRpcMessage, parseJsonRpc } from "../../mcp/json-rpc.js";
import type { StreamError } from "../../web/node.js";
import { notice } from "../terminal/notice.js";

/**
 * A message, and its text as it came. The command passes on the text, so that a number that is too large for JavaScript
 * stays as it is.
 */
export interface JsonRpcText {
  readonly text: string;
  readonly message: JsonRpcMessage;
}

export interface McpTabInit {
  /** Takes a message of the tab. The tab is read on when it resolves. */
  onMessage: (message: JsonRpcText) => Promise<void>;
  /** A request that the tab was sent has failed there, and no response to it will come. */
  onFailed: (id: string | number, error: StreamError) => void;
}

/** The tab's server of MCP, whichever of two protocols it speaks. */
export interface McpTab {
  /** Words for a person. */
  readonly protocol: string;
  /** Resolves when there is room for another message. Rejects for a message that the tab cannot be sent. */
  send(message: JsonRpcText): Promise<void>;
  /** Whether a message that was sent may have reached a tab that was lost with the error. */
  mayHaveReached(given: JsonRpcText, error: StreamError): boolean;
  /** Resolves with the reason when the tab cannot be reached any more. Never rejects. */
  readonly closed: Promise<StreamError>;
  /** Ends what still goes on for a tab that was lost with the error. */
  abandon(error: StreamError): void;
  /** Ends the session, at once and with the error if one is given. Resolves when it is over, and never rejects. */
  close(error?: StreamError): Promise<void>;
}

/** The tab has this long to take the end of a session. */
export const closeTimeoutMs = 2_000;

/** Returns the message that a text is, on one line. Says to the person that it is none, and returns undefined. */
export function readMessage(data: unknown, from: "the tab" | "standard input"): JsonRpcText | undefined {
  try {
    const message = parseJsonRpc(data);
    // In JSON a line break is a blank, and never part of a string.
    return { text: (data as string).replace(/[\r\n]+/g, " "), message };
  } catch (reason) {
    notice(`${from} has sent ${(reason as Error).message}, which is dropped`);
    return undefined;
  }
}
