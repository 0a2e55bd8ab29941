import type { ClientSessionOptions, SecureClientSessionOptions } from "node:http2";
import type { Transport } from "@connectrpc/connect";
import { createConnectTransport, Http2SessionManager } from "@connectrpc/connect-node";

/** Node's defaults of 64 KiB halve bulk throughput. */
const streamWindowBytes = 1_048_576;
const connectionWindowBytes = 4_194_304;
/** A frame, and what is around it; the relay sends no larger messages. */
const readMaxBytes = 1_048_576;

export interface NodeTransportOptions {
  /** The relay's URL, with its prefix. */
  baseUrl: string;
  /** For a certificate of one's own, say. */
  nodeOptions?: ClientSessionOptions | SecureClientSessionOptions;
}

/**
 * A Connect transport to a relay over one HTTP/2 connection: wide windows, no compression, PINGs that find a dead relay. The
 * connection closes soon after the last stream, so that a program can end.
 */
export function createNodeTransport({ baseUrl, nodeOptions = {} }: NodeTransportOptions): Transport {
  const manager = new Http2SessionManager(
    baseUrl,
    { pingIntervalMs: 15_000, pingTimeoutMs: 15_000, idleConnectionTimeoutMs: 1_000 },
    { ...nodeOptions, settings: { initialWindowSize: streamWindowBytes, ...nodeOptions.settings } },
  );
  const widened = new WeakSet<object>();
  return createConnectTransport({
    baseUrl,
    httpVersion: "2",
    acceptCompression: [],
    compressMinBytes: Number.MAX_SAFE_INTEGER,
    readMaxBytes,
    sessionManager: {
      authority: manager.authority,
      notifyResponseByteRead: (stream) => manager.notifyResponseByteRead(stream),
      async request(...args) {
        const stream = await manager.request(...args);
        const { session } = stream;
        if (session !== undefined && !widened.has(session)) {
          widened.add(session);
          session.setLocalWindowSize(connectionWindowBytes);
        }
        return stream;
      },
    },
  });
}
