export type { JsonRpcMessage } from "./json-rpc.js";
export { McpTransport } from "./mcp-transport.js";
