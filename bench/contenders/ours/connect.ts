import { createHttp2Transport } from "./http2-transport.ts";
import { createOurs } from "./ours.ts";

/**
 * The base URL alone, which is HTTP/2 in Node. The package has one connection for a URL: further ones are
 * connect-node's.
 */
export const connect = createOurs((_, baseUrl, connection) =>
  connection === 0 ? baseUrl : createHttp2Transport("connect", `${baseUrl}/browser-server`),
);
