/** The metadata by which a listener knows a client that has the shape of a WebSocket, or that is one. */
export const webSocketMetadata = { protocol: "websocket" };
/** The metadata in which a client tells the path of its URL, with the query. */
export const pathMetadata = "path";
/** The metadata in which a client tells the subprotocols that it speaks, the best one first, with commas. */
export const protocolsMetadata = "sec-websocket-protocol";
