import { codeToString } from "@connectrpc/connect/protocol-connect";
import type { JsonRpcMessage } from "../../mcp/json-rpc.js";
import { Failure, Hop, type StreamError } from "../../web/node.js";
import { wordsFor } from "../terminal/notice.js";

/** The code that the SDK of MCP has for a connection that was closed. */
const connectionClosedCode = -32_000;

/**
 * The response to a request that the tab will not answer. Its `data` has the failure, the hop and the code of the
 * `StreamError`, and `sent`: whether the tab may have begun with it, so that it is not repeated without thought.
 */
export function failedResponse(id: string | number, error: StreamError, isSent: boolean): JsonRpcMessage {
  const { failure, hop, code } = error;
  const data = {
    failure: `FAILURE_${Failure[failure]}`,
    hop: `HOP_${Hop[hop]}`,
    code: codeToString(code),
    sent: isSent,
  };
  const message = isSent ? `the tab has not answered: ${wordsFor(error)}` : `the tab was not asked: ${wordsFor(error)}`;
  return { jsonrpc: "2.0", id, error: { code: connectionClosedCode, message, data } };
}
