import type { ChannelRequest } from "../../../gen/streamserver/v1/link_pb.js";
import { pathMetadata, webSocketMetadata } from "../../../websocket/socket-metadata.js";

/** Headers of the handshake alone, which say nothing of the client. */
const ofHandshake = /^sec-websocket-(key|version|extensions|accept)$/;

/**
 * Returns the metadata of a WebSocket's stream: `protocol` is "websocket", `path` has the query, and each header of the
 * request stands under its own name, in lower case; values of one name are joined as in `Headers`.
 */
export function socketMetadata({ path, headers }: ChannelRequest): Record<string, string> {
  const metadata: Record<string, string> = Object.create(null);
  for (const { name, value } of headers) {
    if (name === ":scheme") metadata["x-forwarded-proto"] = value;
    if (name.startsWith(":") || ofHandshake.test(name)) continue;
    const before = metadata[name];
    metadata[name] = before === undefined ? value : `${before}, ${value}`;
  }
  return Object.assign(metadata, webSocketMetadata, { [pathMetadata]: path });
}
