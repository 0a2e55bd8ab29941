export { Code } from "@connectrpc/connect";
export { Failure, Hop } from "../gen/streamserver/v1/failure_pb.js";
export {
  type Bytes,
  bytesCodec,
  type Codec,
  type InputOf,
  jsonCodec,
  protobufCodec,
  type RawInput,
  type RawMessage,
  rawCodec,
  textCodec,
} from "../stream/codec.js";
export type { EndpointOptions } from "../stream/endpoint/endpoint-options.js";
export type { EncodedMessage, ReceivedMessage } from "../stream/endpoint/sender.js";
export { type Delivery, type ReachedLimit, StreamError } from "../stream/error/stream-error.js";
export type { Caller, Stream, StreamEvents } from "../stream/stream.js";
export type { StreamState, Suspension, TransportKind } from "../stream/stream-life.js";
export type { AccessToken } from "./api/access-token.js";
export type { Broadcast } from "./api/broadcast.js";
export type { ConnectOptions, StreamClientOptions } from "./api/stream-client.js";
export type {
  StreamCallback,
  StreamServerEvents,
  StreamServerOptions,
  StreamServerState,
} from "./api/stream-server.js";
export type { TransportLike } from "./transport/transports.js";
export type { WebSocketTransportOptions } from "./transport/websocket-transport.js";
