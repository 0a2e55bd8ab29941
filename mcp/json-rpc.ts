import { messageOf } from "../stream/error/stream-error.js";

/** A message of JSON-RPC 2.0, as far as a transport has to know it: a request, a notification or a response. */
export interface JsonRpcMessage {
  jsonrpc: "2.0";
  /** Requests and responses have one. */
  id?: string | number | undefined;
  /** Requests and notifications have one. */
  method?: string | undefined;
  params?: object | undefined;
  result?: object | undefined;
  error?: { code: number; message: string; data?: unknown } | undefined;
}

/** The code for an error that is no fault of the request. Section 5.1 of JSON-RPC 2.0. */
export const internalErrorCode = -32_603;

/**
 * Parses a message of JSON-RPC 2.0. Throws an `Error` for bytes, for a text that is no JSON, and for JSON that is no
 * such message. A batch of messages is refused too, because MCP has none. The words of the error repeat nothing of the
 * text.
 */
export function parseJsonRpc(text: unknown): JsonRpcMessage {
  const message = parseJson(text) as Partial<JsonRpcMessage> | null;
  if (typeof message !== "object" || message === null || message.jsonrpc !== "2.0") throw noMessageError();
  const { id, method, result, error } = message;
  const isIdentified = typeof id === "string" || typeof id === "number";
  if (typeof method === "string" ? id !== undefined && !isIdentified : !isAnswer(isIdentified, result, error)) {
    throw noMessageError();
  }
  return message as JsonRpcMessage;
}

/** An error may answer a request whose id could not be read. */
function isAnswer(isIdentified: boolean, result: unknown, error: unknown): boolean {
  return (
    (isIdentified && typeof result === "object" && result !== null) || (typeof error === "object" && error !== null)
  );
}

function parseJson(text: unknown): unknown {
  if (typeof text !== "string") throw new Error("a message that is no text");
  try {
    return JSON.parse(text);
  } catch {
    // The engine's own words quote the text.
    throw new Error("a message that is no JSON");
  }
}

function noMessageError(): Error {
  return new Error("a message that is none of JSON-RPC 2.0");
}

/** The error that answers a request whose response could not be sent. */
export function unsendableResponse(id: string | number, reason: unknown): JsonRpcMessage {
  const message = `the response cannot be sent: ${messageOf(reason)}`;
  return { jsonrpc: "2.0", id, error: { code: internalErrorCode, message } };
}
