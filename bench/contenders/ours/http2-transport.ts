import type { Transport } from "@connectrpc/connect";
import { createConnectTransport, createGrpcTransport, Http2SessionManager } from "@connectrpc/connect-node";

const streamWindowBytes = 1_048_576;
const connectionWindowBytes = 4_194_304;

/** Makes a transport of connect-node on an HTTP/2 connection of its own, with wide windows and no compression. */
export function createHttp2Transport(protocol: "connect" | "grpc", baseUrl: string): Transport {
  const settings = { initialWindowSize: streamWindowBytes };
  const manager = new Http2SessionManager(baseUrl, { idleConnectionTimeoutMs: 60_000 }, { settings });
  let widened: object | undefined;
  const create = protocol === "connect" ? createConnectTransport : createGrpcTransport;
  return create({
    baseUrl,
    httpVersion: "2",
    acceptCompression: [],
    compressMinBytes: Number.MAX_SAFE_INTEGER,
    sessionManager: {
      authority: manager.authority,
      notifyResponseByteRead: (stream) => manager.notifyResponseByteRead(stream),
      async request(method, path, headers, options) {
        const stream = await manager.request(method, path, headers, options);
        if (stream.session !== widened) {
          widened = stream.session;
          stream.session?.setLocalWindowSize(connectionWindowBytes);
        }
        return stream;
      },
    },
  });
}
