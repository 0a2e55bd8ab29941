/** The folders that a folder may import from, besides itself. A folder that is not named here may not be imported. */
export const allowedFolders: Record<string, readonly string[]> = {
  gen: [],
  stream: ["gen"],
  leg: ["stream", "gen"],
  // A link needs the queue, the condition and the typed error that a stream needs; nothing of a stream itself.
  link: ["leg", "stream", "gen"],
  web: ["leg", "stream", "link", "gen"],
  // HTTP over a stream: a link whose pipe is a stream of the application's interface.
  http: ["web", "stream", "leg", "link", "gen"],
  // A stream as a transport of MCP, for the SDK of that protocol.
  mcp: ["stream", "gen"],
  // A stream in the shape of a WebSocket, which knows the interfaces of clients and nothing of how they connect.
  websocket: ["web", "stream", "gen"],
  // The gateway calls listeners by HTTP over a stream and closes WebSockets as streams in their shape are closed, and
  // the relay serves gRPC's health and reflection as listeners do.
  server: ["http", "websocket", "leg", "web", "stream", "link", "gen"],
  // The command line offers to people what the package does for programs, so it may import from all of the package.
  cli: ["leg", "server", "http", "mcp", "websocket", "web", "stream", "link", "gen"],
  bench: ["leg", "server", "http", "web", "stream", "link", "gen"],
  test: ["leg", "cli", "server", "http", "mcp", "websocket", "web", "stream", "link", "gen", "bench", "tools"],
  // A tool is a program on top of everything; it borrows fakes from the tests.
  tools: ["leg", "cli", "server", "http", "mcp", "websocket", "web", "stream", "link", "gen", "bench", "test"],
  // An example uses the package by its name, as its users do.
  examples: [],
};

/** The only files outside a folder that may import from it. Nothing builds on a tool; only its own test imports it. */
export const onlyImporters: Record<string, readonly string[]> = {
  tools: ["test/unit/tools/*.ts"],
};

/**
 * The rooms of a folder, from the ground up. A file in a room may import from its own room and from the rooms before
 * it. The files beside the rooms stand on top of all of them, so no room may import them.
 */
export const rooms: Record<string, readonly string[]> = {
  stream: ["platform", "error", "endpoint"],
  link: ["packet", "channel"],
  web: ["operator", "page", "link", "transport", "node", "api"],
  http: ["message", "link", "call", "service"],
  server: ["admission", "relay", "admin", "access", "http", "rpc", "link", "gateway", "telemetry"],
  cli: ["terminal", "command", "serve", "http", "stream", "mcp", "top"],
};

/** Inside server/, the files that may know RPC services and connect-node. */
export const rpcFiles = ["server/rpc/*.ts", "server/rpc/leg/*.ts", "server/link/*routes.ts", "server/routes.ts"];

/** The names in gen/ that only {@link rpcFiles} may import. */
export const rpcNames = /Service$|^Health$|^ServerReflection$/;

/** The folders without Node code, whoever imports them; and the entries whose whole reach is without it. */
export const foldersWithoutNode = ["gen", "stream", "leg", "link", "mcp", "websocket"];
export const browserEntry = "web/index.ts";
export const browserHttpEntry = "http/index.ts";
export const browserConnectEntry = "http/connect.ts";
export const browserMcpEntry = "mcp/index.ts";
export const browserWebSocketEntry = "websocket/index.ts";

export const nodeOnlyPackages = ["@connectrpc/connect-node"];

export const packageName = "browser-stream-server";
/** Folders where the package's own name would lead back to its build. */
export const foldersOfThePackage = ["gen", "stream", "leg", "link", "web", "http", "mcp", "websocket", "server", "cli"];
