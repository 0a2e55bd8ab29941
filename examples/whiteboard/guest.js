import { StreamClient } from "browser-stream-server";
import { webSocketOf } from "browser-stream-server/websocket";
import { WebsocketProvider } from "y-websocket";
import { Doc } from "yjs";

/** The board of another tab. It is drawn on while the connection is away, too, and what was drawn arrives later. */
export function visitBoard(name, onStatus) {
  const doc = new Doc();
  const WebSocketPolyfill = class extends webSocketOf(StreamClient(location.origin), name) {
    constructor(url, protocols) {
      super(url, protocols);
      this.stream.on("suspended", () => onStatus("away")).on("resumed", () => onStatus("connected"));
    }
  };
  // Tabs of one browser would also talk past the host.
  const provider = new WebsocketProvider("ws://host", "board", doc, { WebSocketPolyfill, disableBc: true });
  provider.on("status", ({ status }) => onStatus(status === "connected" ? "connected" : "away"));
  return { doc, awareness: provider.awareness };
}
