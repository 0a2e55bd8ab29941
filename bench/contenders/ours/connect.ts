import { createHttp2Transport } from "./http2-transport.ts";
import { createOurs } from "./ours.ts";

/**
 * This package with Connect legs over HTTP/2, which it uses in Node where it gets a base URL alone. It has one
 * connection for each URL, so further connections are transports of connect-node.
 */
export const connect = createOurs((_, baseUrl, connection) =>
  connection === 0 ? baseUrl : createHttp2Transport("connect", `${baseUrl}/browser-server`),
);
