import { createOurs } from "./ours.ts";

/** This package with a link over a WebSocket. */
export const websocket = createOurs(({ createWebSocketTransport }, baseUrl) =>
  createWebSocketTransport({ baseUrl: `${baseUrl}/browser-server` }),
);
