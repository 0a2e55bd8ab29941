import type { JsonRpcMessage } from "../../mcp/json-rpc.js";
import type { JsonRpcText } from "./mcp-tab.js";

/** The lists of a server of MCP, each of which it may say that it has changed. */
const lists = ["tools", "prompts", "resources"] as const;

type Capabilities = Record<string, object | undefined>;

function capabilitiesOf(result: object | undefined): Capabilities {
  const { capabilities } = (result ?? {}) as { capabilities?: Capabilities | null };
  return capabilities ?? {};
}

/** The notifications that say that each list may be another one, of a server with this result of `initialize`. */
export function listChanges(result: object | undefined): JsonRpcMessage[] {
  const capabilities = capabilitiesOf(result);
  return lists
    .filter((list) => capabilities[list] !== undefined)
    .map((list) => ({ jsonrpc: "2.0", method: `notifications/${list}/list_changed` }));
}

/**
 * The response to `initialize`, with the capability to say that a list has changed wherever the server has the list:
 * the command says so itself, when the tab has come back.
 */
export function withListChanges({ text, message }: JsonRpcText): string {
  const { result } = message;
  const capabilities = { ...capabilitiesOf(result) };
  for (const list of lists) {
    if (capabilities[list] !== undefined) capabilities[list] = { ...capabilities[list], listChanged: true };
  }
  return result === undefined ? text : JSON.stringify({ ...message, result: { ...result, capabilities } });
}
