import type { RawInput, RawMessage } from "../stream/codec.js";
import type { ConnectOptions, StreamClient } from "../web/api/stream-client.js";
import { pathMetadata, protocolsMetadata, webSocketMetadata } from "./socket-metadata.js";
import { StreamWebSocket } from "./stream-web-socket.js";

/** A class with the constructor of a WebSocket. */
export interface WebSocketClass {
  new (url: string | URL, protocols?: string | string[]): StreamWebSocket;
  readonly prototype: StreamWebSocket;
  readonly CONNECTING: 0;
  readonly OPEN: 1;
  readonly CLOSING: 2;
  readonly CLOSED: 3;
}

/** A URL without a scheme is one of the page, or of nowhere. */
const nowhere = "ws://localhost";

/**
 * Makes a class in the shape of `WebSocket`, whose objects are streams to the listener of `name`, for a library that
 * makes its sockets by itself.
 *
 * - `new` takes a URL and subprotocols as a WebSocket does, and throws `SyntaxError` for what they cannot be. The
 *   listener gets path and query as the metadata `path`, and the subprotocols as `sec-websocket-protocol`. The host
 *   says nothing of where the listener is.
 * - `options` are those of `connect`, for each stream.
 *
 * @example
 * const WebSocket = webSocketOf(StreamClient(relayUrl), "whiteboard");
 * const provider = new WebsocketProvider("ws://whiteboard", "room", doc, { WebSocketPolyfill: WebSocket });
 */
export function webSocketOf(
  client: StreamClient<RawMessage, RawInput>,
  name: string,
  options: ConnectOptions = {},
): WebSocketClass {
  return class extends StreamWebSocket {
    constructor(givenUrl: string | URL, protocols: string | string[] = []) {
      const url = parseUrl(givenUrl);
      const [protocol = "", ...others] = checkProtocols([protocols].flat());
      const asked = protocol === "" ? {} : { [protocolsMetadata]: [protocol, ...others].join(", ") };
      const metadata = {
        ...options.metadata,
        ...webSocketMetadata,
        [pathMetadata]: url.pathname + url.search,
        ...asked,
      };
      super(client.connect(name, { ...options, metadata }), { url: url.href, protocol });
    }
  };
}

function parseUrl(given: string | URL): URL {
  const page = globalThis.location?.href;
  try {
    const url = new URL(given, page?.startsWith("http") ? page : nowhere);
    if (url.hash === "") return url;
  } catch {
    // The message below says it for a fragment as well.
  }
  throw new DOMException(`${JSON.stringify(String(given))} is no URL of a WebSocket`, "SyntaxError");
}

/** RFC 6455, section 4.1: subprotocols are tokens, and differ. */
function checkProtocols(protocols: string[]): string[] {
  const areTokens = protocols.every((each) => /^[\w!#$%&'*+.^`|~-]+$/.test(each));
  if (areTokens && new Set(protocols).size === protocols.length) return protocols;
  throw new DOMException("the subprotocols of a WebSocket are tokens, and differ", "SyntaxError");
}
