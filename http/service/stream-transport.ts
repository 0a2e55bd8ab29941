import type { Interceptor, Transport } from "@connectrpc/connect";
import { type ChannelOpener, createChannelClient } from "../../link/channel-client.js";
import { createRpcTransport, type RpcTransportOptions } from "../../link/rpc-transport.js";
import type { ConnectingOptions, Connections } from "../call/connections.js";
import { requestToWire } from "../message/head.js";
import { defaultReadMaxBytes } from "./connect-handler.js";

/** Options of `createStreamTransport`. */
export interface StreamTransportOptions extends ConnectingOptions {
  /** Interceptors of Connect, which see each call. Default none. */
  interceptors?: Interceptor[] | undefined;
  /** Whether messages are Protobuf's binary rather than JSON. Default true. */
  useBinaryFormat?: boolean | undefined;
  /** Options of JSON, such as the `registry` of types that an `Any` may hold. Default Protobuf's own. */
  jsonOptions?: RpcTransportOptions["jsonOptions"];
  /** The largest message of a response, in bytes. Default 4,194,304. */
  readMaxBytes?: number | undefined;
}

/** A transport of Connect that calls the services of one listener. */
export interface StreamTransport extends Transport {
  /**
   * Ends the streams to the listener that have no call, which otherwise end when they have been idle for 4 s. Resolves
   * when they have ended, and never rejects. The next call opens another.
   */
  close(): Promise<void>;
}

/** The URL of a call has this host for every listener, because the name of a listener need be none of a host. */
const scheme = "http";
const authority = "localhost";

/** Calls the services of a listener in the Connect protocol, on channels over its streams. */
export function streamTransport(
  connections: Connections,
  {
    interceptors = [],
    useBinaryFormat = true,
    jsonOptions,
    readMaxBytes = defaultReadMaxBytes,
  }: StreamTransportOptions,
): StreamTransport {
  const openChannel: ChannelOpener<undefined> = async (url, headers, signal) => {
    const head = requestToWire({ method: "POST", scheme, authority, path: new URL(url).pathname, headers });
    return { channel: await connections.open(head, signal), link: undefined };
  };
  const transport = createRpcTransport({
    httpClient: createChannelClient(openChannel),
    baseUrl: `${scheme}://${authority}`,
    interceptors,
    useBinaryFormat,
    jsonOptions,
    readMaxBytes,
  });
  return { ...transport, close: () => connections.close() };
}
