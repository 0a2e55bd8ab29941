import { createOurs } from "./ours.ts";

/** A link over Node's own WebSocket, which is what a page has too. */
export const websocket = createOurs(({ createWebSocketTransport }, baseUrl) =>
  createWebSocketTransport({ baseUrl: `${baseUrl}/browser-server` }),
);
